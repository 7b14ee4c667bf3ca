"""What helpers take and give, as far as it is checked.

A row has the result, then an argument each. Arguments:

    .       any value               ?       not checked
    ctx     the context             map     a map
    key     a map's key to read     value   a map's value to read       room    a value to be written
    in      bytes to read           out     bytes to be written         inout   both; a size follows each
    in:8, out:8, inout:4            of a size known without
    size    a number, 1 or more     size0   a number, 0 or more         const   a known number
    func    a function              lock    a struct bpf_spin_lock      alloc   a ring buffer's record
    socket  a socket

`in?`, `out?`, `inout?`, `ctx?` may be NULL. Results:

    int     a number                bounded a number, -4095 to the size passed
    value?  an address in a map's value or NULL; `value` never NULL
    record? a ring buffer's record or NULL, to be given back
    sock?, sock_common?             a socket or NULL, to be given back
    ?       not checked             void    nothing, and the argument is given back for `release`

Source: struct bpf_func_proto of each helper: kernel/bpf/helpers.c, kernel/bpf/ringbuf.c,
kernel/trace/bpf_trace.c, net/core/filter.c.
"""

from __future__ import annotations

from functools import cache

from ebee.abi.helpers import HELPERS
from ebee.record import NamedTuple

_TEXT = """
map_lookup_elem value? map key
map_lookup_percpu_elem value? map key .
map_update_elem int map key value .
map_delete_elem int map key
map_push_elem int map value .
map_pop_elem int map room
map_peek_elem int map room
for_each_map_elem int map func ? .
loop int . func ? .
get_prandom_u32 int
get_smp_processor_id ?
get_numa_node_id int
ktime_get_ns int
ktime_get_boot_ns int
ktime_get_coarse_ns int
ktime_get_tai_ns int
jiffies64 int
get_current_pid_tgid int
get_current_uid_gid int
get_current_comm int out size
get_current_task int
get_current_cgroup_id int
get_current_ancestor_cgroup_id int .
get_ns_current_pid_tgid int . . out size
current_task_under_cgroup int map .
send_signal int .
send_signal_thread int .
trace_printk int in size
trace_vprintk int in size in? size0
snprintf int inout? size0 ? in? size0
strtol int in size . out:8
strtoul int in size . out:8
strncmp int in size ?
probe_read int out size0 .
probe_read_user int out size0 .
probe_read_kernel int out size0 .
probe_read_str bounded out size0 .
probe_read_user_str bounded out size0 .
probe_read_kernel_str bounded out size0 .
probe_write_user int . in size
copy_from_user int out size0 .
copy_from_user_task int out size0 . ? .
get_stack bounded ctx out size0 .
get_stackid int ctx map .
get_task_stack bounded ? out size0 .
get_branch_snapshot int out size0
read_branch_records int ctx out? size0 .
perf_event_output int ctx map . in size0
perf_event_read int map .
perf_event_read_value int map . out size
perf_prog_read_value int ctx out size
override_return int ctx .
get_func_ip int ctx
get_attach_cookie int ctx
get_func_arg int ctx . out:8
get_func_ret int ctx out:8
get_func_arg_cnt int ctx
tail_call int ctx map .
ringbuf_output int map in size0 .
ringbuf_reserve record? map const .
ringbuf_submit void alloc .
ringbuf_discard void alloc .
ringbuf_query int map .
spin_lock void lock
spin_unlock void lock
xdp_adjust_head int ctx .
xdp_adjust_tail int ctx .
xdp_adjust_meta int ctx .
xdp_load_bytes int ctx . out size
xdp_store_bytes int ctx . in size
redirect int . .
redirect_map int map . .
redirect_peer int . .
redirect_neigh int . in? size0 .
fib_lookup int ctx inout size .
check_mtu int ctx . inout:4 . .
csum_diff int in? size0 in? size0 .
skb_store_bytes int ctx . in size .
skb_load_bytes int ctx . out size
skb_load_bytes_relative int ctx . out size .
skb_pull_data int ctx .
skb_vlan_push int ctx . .
skb_vlan_pop int ctx
skb_change_proto int ctx . .
skb_change_type int ctx .
skb_change_tail int ctx . .
skb_change_head int ctx . .
skb_adjust_room int ctx . . .
skb_under_cgroup int ctx map .
skb_cgroup_id int ctx
skb_ancestor_cgroup_id int ctx .
skb_cgroup_classid int ctx
skb_ecn_set_ce int ctx
skb_set_tstamp int ctx . .
skb_get_tunnel_key int ctx out size .
skb_set_tunnel_key int ctx in size .
skb_get_tunnel_opt int ctx out size
skb_set_tunnel_opt int ctx in size
skb_get_xfrm_state int ctx . out size .
l3_csum_replace int ctx . . . .
l4_csum_replace int ctx . . . .
csum_update int ctx .
csum_level int ctx .
clone_redirect int ctx . .
get_cgroup_classid int ?
get_route_realm int ctx
get_hash_recalc int ctx
set_hash_invalid int ctx
set_hash int ctx .
get_socket_uid int ctx
lwt_push_encap int ctx . in size
lwt_seg6_store_bytes int ctx . in size
lwt_seg6_adjust_srh int ctx . .
lwt_seg6_action int ctx . in size
sk_lookup_tcp sock? ctx in size . .
sk_lookup_udp sock? ctx in size . .
skc_lookup_tcp sock_common? ctx in size . .
sk_release void socket
sk_redirect_map int ctx map . .
sk_redirect_hash int ctx map key .
sk_select_reuseport int ctx map key .
sock_map_update int ctx map key .
sock_hash_update int ctx map key .
msg_redirect_map int ctx map . .
msg_redirect_hash int ctx map key .
msg_apply_bytes int ctx .
msg_cork_bytes int ctx .
msg_pull_data int ctx . . .
msg_push_data int ctx . . .
msg_pop_data int ctx . . .
sock_ops_cb_flags_set int ctx .
load_hdr_opt int ctx inout size .
store_hdr_opt int ctx in size .
reserve_hdr_opt int ctx . .
bind int ctx in size
sysctl_get_name int ctx out size .
sysctl_get_current_value int ctx out size
sysctl_get_new_value int ctx out size
sysctl_set_new_value int ctx in size
get_local_storage value map .
sk_storage_get value? map ? ? .
task_storage_get value? map ? ? .
inode_storage_get value? map ? ? .
cgrp_storage_get value? map ? ? .
get_retval int
set_retval int .
"""

# Helpers behind which every packet pointer is void.
# Source: net/core/filter.c, bpf_helper_changes_pkt_data().
_MOVES_PACKET = (
    "clone_redirect l3_csum_replace l4_csum_replace lwt_push_encap lwt_seg6_action lwt_seg6_adjust_srh "
    "lwt_seg6_store_bytes msg_pop_data msg_pull_data msg_push_data skb_adjust_room skb_change_head "
    "skb_change_proto skb_change_tail skb_pull_data skb_store_bytes skb_vlan_pop skb_vlan_push "
    "store_hdr_opt xdp_adjust_head xdp_adjust_meta xdp_adjust_tail"
)

# Which maps a helper takes; helpers that are not listed take more than is told here.
# Source: kernel/bpf/verifier.c, check_map_func_compatibility().
_MAPS_OF = {
    "tail_call": "PROG_ARRAY",
    "perf_event_output": "PERF_EVENT_ARRAY",
    "perf_event_read": "PERF_EVENT_ARRAY",
    "perf_event_read_value": "PERF_EVENT_ARRAY",
    "get_stackid": "STACK_TRACE",
    "ringbuf_output": "RINGBUF",
    "ringbuf_reserve": "RINGBUF",
    "ringbuf_query": "RINGBUF",
    "user_ringbuf_drain": "USER_RINGBUF",
    "redirect_map": "DEVMAP DEVMAP_HASH CPUMAP XSKMAP",
    "map_pop_elem": "QUEUE STACK",
    "map_peek_elem": "QUEUE STACK BLOOM_FILTER",
    "map_push_elem": "QUEUE STACK BLOOM_FILTER",
    "map_lookup_percpu_elem": "PERCPU_ARRAY PERCPU_HASH LRU_PERCPU_HASH",
    "sk_storage_get": "SK_STORAGE",
    "task_storage_get": "TASK_STORAGE",
    "inode_storage_get": "INODE_STORAGE",
    "cgrp_storage_get": "CGRP_STORAGE",
}
# Which helpers take a map; maps that are not listed go into more.
_HELPERS_OF = {
    "PROG_ARRAY": "tail_call",
    "PERF_EVENT_ARRAY": "perf_event_read perf_event_output skb_output perf_event_read_value xdp_output",
    "RINGBUF": "ringbuf_output ringbuf_reserve ringbuf_query ringbuf_reserve_dynptr ringbuf_submit_dynptr "
    "ringbuf_discard_dynptr",
    "STACK_TRACE": "get_stackid",
    "QUEUE": "map_peek_elem map_pop_elem map_push_elem",
    "STACK": "map_peek_elem map_pop_elem map_push_elem",
    "CPUMAP": "redirect_map",
}


class Prototype(NamedTuple):
    """A helper: its name without `bpf_`, what it gives, what it takes."""

    name: str
    result: str
    arguments: tuple[str, ...]


@cache
def movers() -> frozenset[str]:
    """Return the helpers behind which every packet pointer is void."""
    return frozenset(_MOVES_PACKET.split())


@cache
def prototypes() -> dict[int, Prototype]:
    """Return the helpers that are checked, by number."""
    numbers = {name: number for number, (name, _) in HELPERS.items()}
    rows = [line.split() for line in _TEXT.strip().split("\n")]
    return {numbers[name]: Prototype(name, result, tuple(kinds)) for name, result, *kinds in rows}


def fits(helper: str, map_type: str) -> bool:
    """Return whether a helper takes a type of map; True where it is not known."""
    maps, helpers = _MAPS_OF.get(helper), _HELPERS_OF.get(map_type)
    return (maps is None or map_type in maps.split()) and (helpers is None or helper in helpers.split())
