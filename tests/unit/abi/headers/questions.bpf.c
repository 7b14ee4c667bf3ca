#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct___other {
	int no_such_field;
} __attribute__((preserve_access_index));

struct no_such_struct {
	int field;
} __attribute__((preserve_access_index));

enum no_such_enum {
	NO_SUCH_VALUE = 7,
};

SEC("raw_tp/sched_process_exec")
int ask(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int sum = ctx == NULL;

	sum += bpf_core_field_exists(task->pid) + bpf_core_field_exists(struct task_struct, comm);
	sum += bpf_core_field_exists(struct task_struct___other, no_such_field);
	sum += bpf_core_field_size(task->comm) + bpf_core_field_size(struct task_struct, pid);
	sum += bpf_core_field_offset(task->comm) + bpf_core_field_offset(struct task_struct, pid);
	sum += bpf_core_type_exists(struct task_struct) + bpf_core_type_exists(struct no_such_struct);
	sum += bpf_core_type_size(struct task_struct) + bpf_core_type_matches(struct task_struct);
	sum += bpf_core_type_id_local(struct task_struct) + bpf_core_type_id_kernel(struct task_struct);
	sum += bpf_core_enum_value_exists(enum bpf_map_type, BPF_MAP_TYPE_HASH);
	sum += bpf_core_enum_value_exists(enum no_such_enum, NO_SUCH_VALUE);
	sum += bpf_core_enum_value(enum bpf_map_type, BPF_MAP_TYPE_HASH);
	return sum;
}

SEC("tp_btf/sched_process_exec")
int cast(unsigned long long *ctx)
{
	struct task_struct *task = bpf_core_cast((void *)ctx[0], struct task_struct);

	return task->pid;
}

char LICENSE[] SEC("license") = "GPL";
