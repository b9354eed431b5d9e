/* SPDX-License-Identifier: MIT */
/* Formatted printing into memory, as in C11, without floating point. */
#include "lib/lib.h"

struct out { char *buf; size_t size, length; };

static void put(struct out *o, char c)
{
	if (o->length + 1 < o->size)
		o->buf[o->length] = c;
	o->length++;
}

static void pad(struct out *o, int n, char c)
{
	while (n-- > 0)
		put(o, c);
}

struct spec { bool left, zero, alternate; int width, precision; };

static void put_text(struct out *o, const struct spec *s, const char *text, int length)
{
	if (!s->left)
		pad(o, s->width - length, ' ');
	for (int i = 0; i < length; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, s->width - length, ' ');
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, unsigned base,
		       bool negative, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char digits[24]; /* filled from the end */
	int n = 0, prefix = negative ? 1 : s->alternate && value && base == 16 ? 2 : 0, zeros = 0;
	bool any = value || s->precision != 0;
	for (; any && (n == 0 || value); n++)
		digits[sizeof(digits) - 1 - n] = set[div64(&value, base)];
	if (s->precision >= 0)
		zeros = MAX(s->precision - n, 0);
	else if (s->zero && !s->left)
		zeros = MAX(s->width - n - prefix, 0);
	if (!s->left)
		pad(o, s->width - prefix - zeros - n, ' ');
	if (negative)
		put(o, '-');
	else if (prefix)
		put(o, '0'), put(o, upper ? 'X' : 'x');
	pad(o, zeros, '0');
	for (int i = n; i > 0; i--)
		put(o, digits[sizeof(digits) - (size_t)i]);
	if (s->left)
		pad(o, s->width - prefix - zeros - n, ' ');
}

/* A width or precision: digits, or * for an argument. */
static const char *parse_number(const char *f, int *n, va_list *ap)
{
	if (*f == '*') {
		*n = va_arg(*ap, int);
		return f + 1;
	}
	for (*n = 0; *f >= '0' && *f <= '9'; f++)
		*n = MIN(*n * 10 + (*f - '0'), 4096);
	return f;
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '#')
			s->alternate = true;
		else
			break;
	}
	f = parse_number(f, &s->width, ap);
	if (s->width < 0) {
		s->left = true;
		s->width = -s->width;
	}
	if (*f == '.')
		f = parse_number(f + 1, &s->precision, ap);
	return f;
}

int vsnprintf(char *buf, size_t size, const char *f, va_list arguments)
{
	struct out o = { buf, size, 0 };
	va_list ap; /* a copy, because a parameter of this type may have no address of it */
	va_copy(ap, arguments);
	for (; *f; f++) {
		struct spec s;
		int longs = 0;
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		for (f = parse_spec(f + 1, &s, &ap); *f == 'l' || *f == 'z'; f++)
			longs += *f == 'l' ? 1 : (int)(sizeof(size_t) / 4 - 1);
		bool wide = longs == 2 || (longs == 1 && sizeof(long) == 8);
		if (*f == 'd' || *f == 'i') {
			int64_t v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);
			put_number(&o, &s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, false);
		} else if (*f == 'u' || *f == 'x' || *f == 'X') {
			uint64_t v = wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);
			put_number(&o, &s, v, *f == 'u' ? 10 : 16, false, *f == 'X');
		} else if (*f == 'p') {
			s.alternate = true;
			put_number(&o, &s, (uintptr_t)va_arg(ap, void *), 16, false, false);
		} else if (*f == 's') {
			const char *text = va_arg(ap, const char *);
			text = text ? text : "(null)";
			size_t most = s.precision >= 0 ? (size_t)s.precision : INT32_MAX;
			put_text(&o, &s, text, (int)strnlen(text, most));
		} else if (*f == 'c') {
			char c = (char)va_arg(ap, int);
			put_text(&o, &s, &c, 1);
		} else if (*f == '%') {
			put(&o, '%');
		} else {
			break; /* not known, or the end: the next argument's type is unknown */
		}
	}
	if (size)
		buf[MIN(o.length, size - 1)] = '\0';
	va_end(ap);
	return (int)o.length;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int length = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return length;
}

size_t appendf(char *buf, size_t size, size_t n, const char *fmt, ...)
{
	va_list ap;
	size_t at = MIN(n, size);
	va_start(ap, fmt);
	n += (size_t)vsnprintf(buf + at, size - at, fmt, ap);
	va_end(ap);
	return n;
}
