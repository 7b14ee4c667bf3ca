"""`ebee net show`, `ebee net list`."""

from __future__ import annotations

from ebee.cli.call import Answer, Call
from ebee.introspect.net import describe_network, network_lines


def main(call: Call) -> Answer:
    device = None
    if call.words:
        call.words.choice(("dev",))
        device = call.words.take("the name of a device")
    call.words.finish()
    facts = describe_network(call.kernel(), device)
    # bpftool wraps the one object into a list.
    return Answer([facts], lambda: network_lines(facts))
