// class: out-of-bounds
// refused: return row->cells[index]
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
	__u32 key = 0, index = skb->len;
	struct row *row = bpf_map_lookup_elem(&rows, &key);

	if (!row || index > 60)
		return 0;
	return row->cells[index];
}

char LICENSE[] SEC("license") = "GPL";
