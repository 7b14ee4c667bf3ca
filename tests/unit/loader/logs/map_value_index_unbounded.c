// class: unbounded-index
// refused: return row->cells[skb->len]
// note: return row->cells[skb->len]
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct row { __u32 length; __u8 cells[60]; };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

SEC("socket")
int pick(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct row *row = bpf_map_lookup_elem(&rows, &key);

	if (!row)
		return 0;
	return row->cells[skb->len];
}

char LICENSE[] SEC("license") = "GPL";
