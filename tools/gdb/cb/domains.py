# SPDX-License-Identifier: MIT
"""The domains that the VMM hosts: their frames and vCPUs, and the ports between them."""
import gdb

from . import machine
from .machine import Command

MS = 1000000


def all_domains():
    """[struct domain], domain 0 first. Its number is its id less one."""
    table = machine.vmm("domains")
    return [table[i].dereference() for i in range(table.type.range()[1] + 1) if int(table[i])]


def number(domain):
    return int(domain["id"]) - 1


def by_number(wanted):
    if wanted == 0:
        return machine.vmm("domain0")  # also before the VMM is up
    for domain in all_domains():
        if number(domain) == wanted:
            return domain
    raise gdb.GdbError("there is no domain %d; say 'cb domains'" % wanted)


def enum_name(value, prefix, kind):
    fields = gdb.lookup_type(kind).fields()
    return next((field.name[len(prefix):].lower() for field in fields
                 if field.enumval == int(value)), str(int(value)))


def owners():
    """{owner: frames}, by the frame table."""
    count = int(machine.vmm("machine")["nr_mfns"])
    frames = machine.vmm("frames")
    layout = machine.Layout(frames.type.target())
    data = machine.read(int(frames), layout.bytes * count)
    found = {}
    for mfn in range(count):
        owner = layout.decode(data, mfn).owner
        found[owner] = found.get(owner, 0) + 1
    return found


class Domains(Command):
    """The domains, and how many machine frames each owns: cb domains

The last line counts frames without an owner, and those that hold the VMM's state of
guests."""

    def run(self, words):
        self.no_words(words)
        frames = owners()
        for domain in all_domains():
            vcpus = int(domain["nr_vcpus"])
            text = "domain %d: %s, %d vCPU%s, %d frames" % (
                number(domain), enum_name(domain["state"], "DOMAIN_", "enum domain_state"),
                vcpus, "s" if vcpus > 1 else "", frames.get(int(domain["id"]), 0))
            guest = domain["guest"].cast(machine.vmm_type("guest").pointer())
            if int(guest) and int(guest["reason"]):
                text += ", ended: " + guest["reason"].string()
            print(text)
        state = machine.defines("vmm/vmm.h", "VMM_OWNER")[""]
        print("no owner: %d frames; state of guests: %d" % (frames.get(0, 0),
                                                            frames.get(state, 0)))


class Vcpu(Command):
    """The vCPUs of all domains: cb vcpu

`on` is the CPU where it lives. A star marks the one whose state is in the processor. For
all others the line ends with the address at which it goes on."""

    def run(self, words):
        self.no_words(words)
        cpus = machine.vmm("vmm_cpus")
        for domain in all_domains():
            for i in range(int(domain["nr_vcpus"])):
                vcpu = domain["vcpus"][i]
                own = cpus[int(vcpu["cpu"])]["cpu"]
                here = int(own["current"]) == int(vcpu.address)
                text = "%s domain %d vCPU %d on CPU %d: %s%s, ran %d ms, stolen %d ms" % (
                    "*" if here else " ", number(domain), i, vcpu["cpu"],
                    enum_name(vcpu["run"], "RUN_", "enum run_state"),
                    ", queued" if int(vcpu["queued"]) else "",
                    int(vcpu["ran"]) // MS, int(vcpu["stolen"]) // MS)
                if not here:
                    text += ", at %#010x" % int(vcpu["regs"]["eip"])
                print(text)


class Ports(Command):
    """The ports in use, with their peers and pending bits: cb ports

pending: something was sent that the domain has not taken yet; masked: it takes nothing
there now. Only a machine with guests has ports in use ('cb domains')."""

    def run(self, words):
        self.no_words(words)
        used = False
        for domain in all_domains():
            rest = domain["rest"]
            for i in range(int(domain["nr_ports"])):
                port = domain["ports"][i]
                if not int(port["used"]):
                    continue
                used = True
                peer = "nobody" if not int(port["peer"]) else "port %d of domain %d" % (
                    port["number"], int(port["peer"]) - 1)
                flags = [name for name in ("pending", "masked")
                         if int(rest) and int(rest["port_" + name][i // 32]) >> i % 32 & 1]
                print("domain %d port %d: to %s%s" % (number(domain), i, peer,
                                                      "".join(", " + flag for flag in flags)))
        if not used:
            print("no port is in use")


Domains(), Vcpu(), Ports()
