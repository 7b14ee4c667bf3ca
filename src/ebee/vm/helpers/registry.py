"""Which function answers which helper number.

A helper is a plain function of the run and the five argument registers; what it returns goes into r0
(negative errnos as Python's negative numbers). It raises a Fault for what stops the program, such as
memory it may not read; and a Refusal becomes a negative errno.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ebee.abi.helpers import name_of, number_of
from ebee.vm.faults import Fault
from ebee.vm.machine import Run

HelperFunction = Callable[[Run, int, int, int, int, int], int]

_HOMES = {
    "maps": (
        "map_lookup_elem map_update_elem map_delete_elem map_lookup_percpu_elem map_push_elem "
        "map_pop_elem map_peek_elem for_each_map_elem "
    ),
    "general": (
        "ktime_get_ns ktime_get_boot_ns ktime_get_coarse_ns ktime_get_tai_ns jiffies64 "
        "get_prandom_u32 get_smp_processor_id get_numa_node_id get_current_pid_tgid "
        "get_current_uid_gid get_current_comm get_current_task get_current_task_btf "
        "get_current_cgroup_id get_current_ancestor_cgroup_id current_task_under_cgroup "
        "get_ns_current_pid_tgid send_signal send_signal_thread get_func_ip get_attach_cookie "
        "get_func_arg get_func_ret get_func_arg_cnt override_return get_retval set_retval "
        "this_cpu_ptr per_cpu_ptr "
    ),
    "probing": (
        "probe_read probe_read_kernel probe_read_user copy_from_user copy_from_user_task "
        "probe_read_str probe_read_kernel_str probe_read_user_str probe_write_user "
    ),
    "strings": "strtol strtoul strncmp",
    "printing": "trace_printk trace_vprintk snprintf seq_printf seq_write",
    "callbacks": "loop spin_lock spin_unlock kptr_xchg",
    "checksums": "csum_diff l3_csum_replace l4_csum_replace csum_update csum_level",
    "skb": (
        "skb_load_bytes skb_load_bytes_relative skb_store_bytes skb_pull_data skb_change_type "
        "get_hash_recalc set_hash set_hash_invalid skb_set_tstamp skb_ecn_set_ce skb_cgroup_id "
        "sk_cgroup_id skb_ancestor_cgroup_id sk_ancestor_cgroup_id skb_under_cgroup "
        "get_cgroup_classid skb_cgroup_classid get_route_realm get_socket_cookie get_socket_uid "
        "get_netns_cookie skb_get_tunnel_key skb_set_tunnel_key skb_get_tunnel_opt skb_set_tunnel_opt "
    ),
    "headers": (
        "skb_change_tail skb_change_head skb_change_proto skb_adjust_room skb_vlan_push skb_vlan_pop "
    ),
    "routing": "redirect redirect_peer redirect_neigh clone_redirect check_mtu fib_lookup",
    "lookups": (
        "sk_lookup_tcp skc_lookup_tcp sk_lookup_udp sk_release sk_fullsock get_listener_sock tcp_sock "
        "skc_to_tcp_sock skc_to_tcp6_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock "
        "skc_to_udp6_sock skc_to_unix_sock skc_to_mptcp_sock sock_from_file"
    ),
    "xdp": (
        "xdp_adjust_head xdp_adjust_tail xdp_adjust_meta xdp_get_buff_len xdp_load_bytes "
        "xdp_store_bytes redirect_map "
    ),
    "buffers": (
        "ringbuf_output ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query "
        "ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr user_ringbuf_drain "
        "perf_event_output skb_output xdp_output perf_event_read perf_event_read_value "
        "perf_prog_read_value "
    ),
    "dynptr": "dynptr_from_mem dynptr_read dynptr_write dynptr_data",
    "stacks": "get_stackid get_stack get_task_stack",
    "storage": (
        "sk_storage_get task_storage_get inode_storage_get cgrp_storage_get sk_storage_delete "
        "task_storage_delete inode_storage_delete cgrp_storage_delete get_local_storage "
    ),
    "timers": "timer_init timer_set_callback timer_start timer_cancel",
    "sockets": (
        "setsockopt getsockopt bind sock_ops_cb_flags_set msg_apply_bytes msg_cork_bytes "
        "msg_pull_data msg_push_data msg_pop_data sk_redirect_map msg_redirect_map sk_redirect_hash "
        "msg_redirect_hash "
        "sock_map_update sock_hash_update sk_select_reuseport sk_assign sysctl_get_name "
        "sysctl_get_current_value sysctl_get_new_value sysctl_set_new_value "
    ),
    "kernel_facts": (
        "kallsyms_lookup_name btf_find_by_name_kind task_pt_regs get_branch_snapshot read_branch_records "
        "ima_inode_hash ima_file_hash find_vma bprm_opts_set skb_get_xfrm_state"
    ),
}
"""Module -> the helpers that it registers, so that a program imports those that it calls."""
_TABLE: dict[int, HelperFunction] = {}


def helper(name: str) -> Callable[[HelperFunction], HelperFunction]:
    """Register a function as a helper of the kernel's, by its name without `bpf_`."""
    number = number_of(name)
    assert number is not None, name

    def register(function: HelperFunction) -> HelperFunction:
        _TABLE[number] = function
        return function

    return register


def find_helper(number: int) -> HelperFunction:
    """Return the function of a helper.

    Raises:
        Fault: the machine has no such helper; the hint names the nearest it has.
    """
    if number not in _TABLE:
        name = (name_of(number) or "").removeprefix("bpf_")
        home = next((module for module, names in _HOMES.items() if name in names.split()), None)
        if home is None:
            raise _missing(number)
        import_module(f"ebee.vm.helpers.{home}")
    return _TABLE[number]


def all_helpers() -> dict[int, HelperFunction]:
    """Return all helpers of the machine, by number."""
    for module in _HOMES:
        import_module(f"ebee.vm.helpers.{module}")
    return _TABLE


def _missing(number: int) -> Fault:
    from ebee.text import did_you_mean

    name = name_of(number)
    if name is None:
        return Fault(f"call of helper {number}: no kernel has such a helper")
    known = [f"bpf_{each}" for names in _HOMES.values() for each in names.split()]
    return Fault(f"call of {name}: the userspace machine has no such helper", did_you_mean(name, known))
