/* SPDX-License-Identifier: MIT */
/* The page's parts, still empty: viewer.js fills them. */
"use strict";

/* These two stand on the page of `make web`, too. */
const SPACE_PART = `
<section class="panel wide">
	<h2>The address space in a picture</h2>
	<div class="scrolls" tabindex="0" role="group" aria-label="Picture of the address space">
		<svg class="space" viewBox="0 0 1000 90" role="img"
			aria-label="What is mapped where, and where the CPU's tables lie"></svg>
	</div>
	<div class="kinds"></div>
</section>`;
const CODE_PART = `
<div class="code">
	<section class="panel source">
		<h2>The source</h2><p class="note"></p><ol></ol>
		<pre class="instruction"></pre>
	</section>
	<section class="panel frames">
		<h2>Machine frames</h2><p class="note"></p>
		<canvas role="img" aria-label="Type of each machine frame"></canvas>
		<ul class="legend"></ul><p class="under" aria-hidden="true">\u00a0</p>
	</section>
</div>`;

const SKELETON = `
<header><h1></h1><button type="button" class="theme">Dark or light</button></header>
<section class="intro" aria-label="What this is">
	<p>Cinnabar is a small operating system. While it runs, its kernel can put a VMM, a
		program that stands between a kernel and its hardware, beneath itself
		(<b>attach</b>), and take it away again (<b>detach</b>). This page is a recording
		of a machine that does so. Nothing here was printed by the kernel: registers and
		memory were read from outside. Each step shows what ran, and what it changed.</p>
	<details class="words"><summary>The words of this page: GDT, VO, trap
		frame and others</summary><dl></dl></details>
</section>
<section class="timeline" aria-label="Steps">
	<div class="phases"></div>
	<div class="controls">
		<button type="button" data-go="home" aria-label="First step (Home)">first</button>
		<button type="button" data-go="pageup"
			aria-label="Phase before (Page Up)">\u00ab phase</button>
		<button type="button" data-go="left"
			aria-label="Step back (Left)">\u2039 back</button>
		<button type="button" data-go="right"
			aria-label="Step forward (Right)">forward \u203a</button>
		<button type="button" data-go="pagedown"
			aria-label="Next phase (Page Down)">phase \u00bb</button>
		<button type="button" data-go="end" aria-label="Last step (End)">last</button>
		<span class="player"></span>
		<button type="button" data-go="difference" hidden>first difference</button>
		<p class="status" role="status"></p>
		<a class="link">link to this step</a>
	</div>
	<div class="strips">
		<label>step</label><input type="range" min="0" step="1" value="0">
	</div>
</section>
<section class="panel over-time">
	<details class="more" open>
		<summary>Over time, and what the marks mean</summary>
		<div class="strips">
			<div class="labels" aria-hidden="true">
				<span>phase</span><span>ring</span>
				<span class="of-switches">GDT in</span>
				<span class="of-switches">VO</span>
				<span class="of-domains">domain</span>
			</div>
			<svg viewBox="0 0 1000 72" preserveAspectRatio="none" role="img"
				aria-label="Phase, ring, GDT and VO over time"></svg>
		</div>
		<p class="hint lanes">
			<span class="key ring-0"></span>ring 0
			<span class="key ring-1"></span>ring 1
			<span class="of-switches">
				<span class="key mode-native"></span>the kernel's GDT, native_vo
				<span class="key mode-virtual"></span>the VMM's GDT, virtual_vo
				<span class="key mode-exchanging"></span>the VO is being exchanged
			</span>
			<span class="of-domains">
				<span class="key domain-0"></span>domain 0
				<span class="key domain-1"></span>a guest
			</span>
		</p>
		<p class="hint">
			<span class="changed">Marked</span>: this step changed it.
			<span class="with-reference" hidden>
				<span class="differs">Outlined</span>: not as in the reference.
			</span>
			Keys: <kbd>\u2190</kbd> <kbd>\u2192</kbd> step,
			<kbd>Page Up</kbd> <kbd>Page Down</kbd> phase,
			<kbd>Home</kbd> <kbd>End</kbd>, <kbd>Space</kbd> play or pause.
		</p>
	</details>
</section>
<div class="now">
	<section class="story" aria-label="What happens in this step">
		<h2></h2>
		<p class="does" aria-live="polite"></p>
		<p class="why"></p>
		<p class="without"></p>
		<p class="function"></p>
		<div class="differences" hidden><h3>Not as in the reference</h3><ul></ul></div>
		<div class="changes"><h3>What this step changed</h3><div></div></div>
	</section>
	<section class="picture" aria-label="The rings">
		<h2>The rings after this step</h2>
		<dl class="badges"></dl>
	</section>
</div>
${SPACE_PART}${CODE_PART}<div class="tables"><div></div><div></div><div></div></div>`;

const KEY_HINT = "read-only; EIP, ESP: the CPU; GDT, IDT, TSS: its tables";
