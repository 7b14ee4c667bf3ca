"""Which helpers which programs may call.

The tables are what Linux 6.18 takes, asked helper by helper; attach types of one type are taken together.

Source: net/core/filter.c, kernel/trace/bpf_trace.c, kernel/bpf/helpers.c, …: the functions behind
`get_func_proto` of struct bpf_verifier_ops, and `gpl_only` and `might_sleep` of struct bpf_func_proto.
"""

from __future__ import annotations

from functools import cache

from ebee.abi.bpf import ProgType

# Any program may call these.
_ALL = (
    "cgrp_storage_delete cgrp_storage_get copy_from_user copy_from_user_task "
    "current_task_under_cgroup dynptr_data dynptr_from_mem dynptr_read dynptr_write find_vma "
    "for_each_map_elem get_branch_snapshot get_cgroup_classid get_current_ancestor_cgroup_id "
    "get_current_cgroup_id get_current_comm get_current_pid_tgid get_current_task "
    "get_current_task_btf get_current_uid_gid get_ns_current_pid_tgid get_numa_node_id "
    "get_prandom_u32 get_smp_processor_id get_task_stack jiffies64 kptr_xchg ktime_get_boot_ns "
    "ktime_get_ns ktime_get_tai_ns loop map_delete_elem map_lookup_elem map_lookup_percpu_elem "
    "map_peek_elem map_pop_elem map_push_elem map_update_elem per_cpu_ptr perf_event_read "
    "perf_event_read_value probe_read_kernel probe_read_kernel_str probe_read_user "
    "probe_read_user_str ringbuf_discard ringbuf_discard_dynptr ringbuf_output ringbuf_query "
    "ringbuf_reserve ringbuf_reserve_dynptr ringbuf_submit ringbuf_submit_dynptr send_signal "
    "send_signal_thread snprintf snprintf_btf spin_lock spin_unlock strncmp strtol strtoul tail_call "
    "task_pt_regs task_storage_delete task_storage_get this_cpu_ptr timer_cancel timer_init "
    "timer_set_callback timer_start trace_printk trace_vprintk user_ringbuf_drain"
)
_SOCKET_CASTS = (
    "skc_to_mptcp_sock skc_to_tcp6_sock skc_to_tcp_request_sock skc_to_tcp_sock "
    "skc_to_tcp_timewait_sock skc_to_udp6_sock skc_to_unix_sock"
)
_TRACING = "get_attach_cookie get_func_ip get_stack get_stackid perf_event_output probe_read probe_read_str"
_SOCKETS = "sk_lookup_tcp sk_lookup_udp sk_release skc_lookup_tcp"
_COOKIES = (
    "tcp_check_syncookie tcp_gen_syncookie tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6 "
    "tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6"
)
_CLASSIFIER = (
    f"{_SOCKET_CASTS} "
    f"{_SOCKETS} "
    f"{_COOKIES} "
    "check_mtu clone_redirect csum_diff csum_level csum_update fib_lookup get_hash_recalc "
    "get_listener_sock get_netns_cookie get_route_realm get_socket_cookie get_socket_uid "
    "ktime_get_coarse_ns l3_csum_replace l4_csum_replace perf_event_output redirect "
    "redirect_neigh redirect_peer set_hash set_hash_invalid sk_assign sk_fullsock "
    "sk_storage_delete sk_storage_get skb_adjust_room skb_ancestor_cgroup_id skb_cgroup_classid "
    "skb_cgroup_id skb_change_head skb_change_proto skb_change_tail skb_change_type "
    "skb_ecn_set_ce skb_get_tunnel_key skb_get_tunnel_opt skb_get_xfrm_state skb_load_bytes "
    "skb_load_bytes_relative skb_pull_data skb_set_tstamp skb_set_tunnel_key skb_set_tunnel_opt "
    "skb_store_bytes skb_under_cgroup skb_vlan_pop skb_vlan_push tcp_sock"
)
_BY_TYPE = {
    "SOCKET_FILTER": (
        f"{_SOCKET_CASTS} "
        "get_netns_cookie get_socket_cookie get_socket_uid ktime_get_coarse_ns perf_event_output "
        "skb_load_bytes skb_load_bytes_relative"
    ),
    "KPROBE": (f"{_TRACING} override_return"),
    "SCHED_CLS": _CLASSIFIER,
    "SCHED_ACT": _CLASSIFIER,
    "TRACEPOINT": _TRACING,
    "RAW_TRACEPOINT": _TRACING,
    "RAW_TRACEPOINT_WRITABLE": _TRACING,
    "XDP": (
        f"{_SOCKET_CASTS} "
        f"{_SOCKETS} "
        f"{_COOKIES} "
        "check_mtu csum_diff fib_lookup ktime_get_coarse_ns perf_event_output redirect redirect_map "
        "xdp_adjust_head xdp_adjust_meta xdp_adjust_tail xdp_get_buff_len xdp_load_bytes "
        "xdp_store_bytes"
    ),
    "PERF_EVENT": (f"{_TRACING} perf_prog_read_value read_branch_records"),
    "CGROUP_SKB": (
        f"{_SOCKET_CASTS} "
        f"{_SOCKETS} "
        "get_listener_sock get_local_storage get_netns_cookie get_socket_cookie get_socket_uid "
        "ktime_get_coarse_ns perf_event_output sk_ancestor_cgroup_id sk_cgroup_id sk_fullsock "
        "sk_storage_delete sk_storage_get skb_ancestor_cgroup_id skb_cgroup_id skb_ecn_set_ce "
        "skb_load_bytes skb_load_bytes_relative tcp_sock"
    ),
    "CGROUP_SOCK": (
        "get_local_storage get_netns_cookie get_retval get_socket_cookie ktime_get_coarse_ns "
        "perf_event_output set_retval sk_storage_get"
    ),
    "LWT_IN": (
        f"{_SOCKET_CASTS} "
        "csum_diff get_hash_recalc get_route_realm ktime_get_coarse_ns lwt_push_encap "
        "perf_event_output skb_load_bytes skb_pull_data skb_under_cgroup"
    ),
    "LWT_OUT": (
        f"{_SOCKET_CASTS} "
        "csum_diff get_hash_recalc get_route_realm ktime_get_coarse_ns perf_event_output "
        "skb_load_bytes skb_pull_data skb_under_cgroup"
    ),
    "LWT_XMIT": (
        f"{_SOCKET_CASTS} "
        "clone_redirect csum_diff csum_level csum_update get_hash_recalc get_route_realm "
        "ktime_get_coarse_ns l3_csum_replace l4_csum_replace lwt_push_encap perf_event_output "
        "redirect set_hash_invalid skb_change_head skb_change_tail skb_get_tunnel_key "
        "skb_get_tunnel_opt skb_load_bytes skb_pull_data skb_set_tunnel_key skb_set_tunnel_opt "
        "skb_store_bytes skb_under_cgroup"
    ),
    "SOCK_OPS": (
        f"{_SOCKET_CASTS} "
        "get_local_storage get_netns_cookie get_socket_cookie getsockopt ktime_get_coarse_ns "
        "load_hdr_opt perf_event_output reserve_hdr_opt setsockopt sk_storage_delete sk_storage_get "
        "sock_hash_update sock_map_update sock_ops_cb_flags_set store_hdr_opt tcp_sock"
    ),
    "SK_SKB": (
        f"{_SOCKET_CASTS} "
        f"{_SOCKETS} "
        "get_socket_cookie get_socket_uid ktime_get_coarse_ns perf_event_output sk_redirect_hash "
        "sk_redirect_map skb_adjust_room skb_change_head skb_change_tail skb_load_bytes skb_pull_data "
        "skb_store_bytes"
    ),
    "CGROUP_DEVICE": ("get_local_storage get_retval perf_event_output set_retval"),
    "SK_MSG": (
        f"{_SOCKET_CASTS} "
        "get_netns_cookie ktime_get_coarse_ns msg_apply_bytes msg_cork_bytes msg_pop_data "
        "msg_pull_data msg_push_data msg_redirect_hash msg_redirect_map perf_event_output "
        "sk_storage_delete sk_storage_get"
    ),
    "CGROUP_SOCK_ADDR": (
        f"{_SOCKET_CASTS} "
        f"{_SOCKETS} "
        "bind get_local_storage get_netns_cookie get_retval get_socket_cookie getsockopt "
        "ktime_get_coarse_ns perf_event_output set_retval setsockopt sk_storage_delete sk_storage_get"
    ),
    "LWT_SEG6LOCAL": (
        f"{_SOCKET_CASTS} "
        "csum_diff get_hash_recalc get_route_realm ktime_get_coarse_ns lwt_seg6_action "
        "lwt_seg6_adjust_srh lwt_seg6_store_bytes perf_event_output skb_load_bytes skb_pull_data "
        "skb_under_cgroup"
    ),
    "SK_REUSEPORT": (
        "get_socket_cookie ktime_get_coarse_ns sk_select_reuseport skb_load_bytes skb_load_bytes_relative"
    ),
    "FLOW_DISSECTOR": (f"{_SOCKET_CASTS} ktime_get_coarse_ns skb_load_bytes"),
    "CGROUP_SYSCTL": (
        "get_local_storage get_retval ktime_get_coarse_ns perf_event_output set_retval "
        "sysctl_get_current_value sysctl_get_name sysctl_get_new_value sysctl_set_new_value"
    ),
    "CGROUP_SOCKOPT": (
        "get_local_storage get_netns_cookie get_retval getsockopt perf_event_output set_retval "
        "setsockopt sk_storage_delete sk_storage_get tcp_sock"
    ),
    "SK_LOOKUP": (f"{_SOCKET_CASTS} ktime_get_coarse_ns perf_event_output sk_assign sk_release"),
    "SYSCALL": (
        f"{_SOCKET_CASTS} "
        "btf_find_by_name_kind d_path get_func_ip get_socket_cookie get_stack get_stackid "
        "kallsyms_lookup_name perf_event_output probe_read probe_read_str sk_storage_delete "
        "sk_storage_get skb_output sock_from_file sys_bpf sys_close xdp_get_buff_len xdp_output"
    ),
    "NETFILTER": (""),
}
# Helpers that a kernel has or has not by its configuration, for types not asked above.
_ELSEWHERE = (
    "bprm_opts_set get_func_arg get_func_arg_cnt get_func_ret ima_file_hash ima_inode_hash "
    "inode_storage_delete inode_storage_get probe_write_user rc_keydown rc_pointer_rel rc_repeat "
    "seq_printf seq_printf_btf seq_write tcp_send_ack"
)
_GPL = (
    "check_mtu copy_from_user_task fib_lookup get_branch_snapshot get_current_task "
    "get_current_task_btf get_func_ip get_stack get_stackid override_return perf_event_output "
    "perf_event_read perf_event_read_value perf_prog_read_value probe_read probe_read_kernel "
    "probe_read_kernel_str probe_read_str probe_read_user probe_read_user_str probe_write_user "
    "read_branch_records seq_printf seq_printf_btf seq_write skb_output snprintf task_pt_regs "
    "tcp_check_syncookie tcp_gen_syncookie tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6 "
    "tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 timer_cancel timer_init timer_set_callback "
    "timer_start trace_printk trace_vprintk xdp_output"
)
_MAY_SLEEP = "copy_from_user copy_from_user_task ima_inode_hash ima_file_hash"


@cache
def allowed(type: ProgType) -> frozenset[str] | None:
    """Return the helpers of a type of program, by name; None where they are not known."""
    names = _BY_TYPE.get(type.name)
    return None if names is None else frozenset(f"{_ALL} {_ELSEWHERE} {names}".split())


@cache
def gpl_only() -> frozenset[str]:
    """Return the helpers that only programs under the GPL may call."""
    return frozenset(_GPL.split())


@cache
def may_sleep() -> frozenset[str]:
    """Return the helpers that only programs that may sleep may call."""
    return frozenset(_MAY_SLEEP.split())
