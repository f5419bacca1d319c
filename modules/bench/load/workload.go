package load

import (
	"fmt"
	"strings"
)

// Workload is the kind and the size of the webhooks to send.
type Workload struct {
	// Kind is one of Kinds.
	Kind string
	// BodyBytes is the size of each body, at least MinBodyBytes. It is 0 in workload
	// provider, whose payloads determine the sizes.
	BodyBytes int
}

// Kinds are the workloads:
//
//   - orders: each order is created, updated twice, and paid or not
//   - disputes: each dispute is opened, updated, submitted, and won or lost
//   - mix: each order has a dispute; every tenth webhook is a duplicate, and the
//     webhooks of every fifth order are sent out of order
//   - hot: like orders, but every tenth webhook is about the same order
//   - provider: like mix, and each webhook contains a payload in a provider's format
var Kinds = []string{"orders", "disputes", "mix", "hot", "provider"}

const (
	// MinBodyBytes is enough for every required member.
	MinBodyBytes = 400
	maxBodyBytes = 256 << 10
)

// realistic reports whether the webhooks contain payloads in providers' formats.
func (w Workload) realistic() bool { return w.Kind == "provider" }

// Complete returns the workload with BodyBytes set to MinBodyBytes if it is 0 and
// the kind needs it.
func (w Workload) Complete() Workload {
	if w.BodyBytes == 0 && !w.realistic() {
		w.BodyBytes = MinBodyBytes
	}
	return w
}

// Validate checks the workload. Its error explains how to fix it.
func (w Workload) Validate() error {
	if _, known := lifecycles[w.Kind]; !known {
		return fmt.Errorf("workload is %q: choose one of %s", w.Kind, strings.Join(Kinds, ", "))
	}
	if w.realistic() {
		if w.BodyBytes != 0 {
			return fmt.Errorf("body-bytes is %d: leave it out, because the payloads of workload %s determine the sizes", w.BodyBytes, w.Kind)
		}
		return nil
	}
	if w.BodyBytes < MinBodyBytes || w.BodyBytes > maxBodyBytes {
		return fmt.Errorf("body-bytes is %d: choose a size from %d to %d", w.BodyBytes, MinBodyBytes, maxBodyBytes)
	}
	return nil
}

// String returns a short description, such as "orders, 400 B".
func (w Workload) String() string {
	if w.realistic() {
		smallest, largest := payloadSizes()
		return fmt.Sprintf("%s, events of %.1f to %.1f KiB", w.Kind, float64(smallest)/(1<<10), float64(largest)/(1<<10))
	}
	if w.BodyBytes >= 1<<10 && w.BodyBytes%(1<<10) == 0 {
		return fmt.Sprintf("%s, %d KiB", w.Kind, w.BodyBytes>>10)
	}
	return fmt.Sprintf("%s, %d B", w.Kind, w.BodyBytes)
}

// change is a new status of an order or its dispute.
type change struct {
	dispute bool
	// status is the member of the webhook, resolution its detail for "closed".
	status, resolution string
	// kind is the status in the public API.
	kind string
}

var (
	created   = change{status: "created", kind: "created"}
	updated   = change{status: "updated", kind: "updated"}
	paid      = change{status: "success", kind: "success"}
	failed    = change{status: "failed", kind: "failed"}
	opened    = change{dispute: true, status: "opened", kind: "open"}
	reviewed  = change{dispute: true, status: "updated", kind: "under_review"}
	submitted = change{dispute: true, status: "submitted", kind: "submitted"}
	won       = change{dispute: true, status: "closed", resolution: "won", kind: "won"}
	lost      = change{dispute: true, status: "closed", resolution: "lost", kind: "lost"}
)

// lifecycle is how the orders of a workload change. Even and odd orders have
// different histories, which are in the order of their times.
type lifecycle struct {
	histories [2][]change
	// sequence are the indexes of the history in the order in which they are sent. An
	// index that is there twice makes a duplicate. Every fifth order uses shuffled.
	// Without a sequence the history is sent in order.
	sequence, shuffled []int
}

var lifecycles = map[string]lifecycle{
	"orders":   ordinary,
	"hot":      ordinary,
	"disputes": {histories: [2][]change{{opened, reviewed, submitted, won}, {opened, reviewed, submitted, lost}}},
	"mix":      mixed,
	"provider": mixed,
}

var ordinary = lifecycle{histories: [2][]change{{created, updated, updated, paid}, {created, updated, updated, failed}}}

var mixed = lifecycle{
	histories: [2][]change{
		{created, updated, opened, updated, reviewed, updated, paid, submitted, won},
		{created, updated, opened, updated, reviewed, updated, failed, submitted, lost},
	},
	sequence: []int{0, 1, 2, 3, 4, 3, 5, 6, 7, 8},
	shuffled: []int{0, 3, 2, 1, 4, 3, 6, 5, 7, 8},
}
