package load

import (
	"fmt"
	"strings"
)

// Workload is what the provider has to tell.
type Workload struct {
	// Kind names the lives of its orders, one of Kinds.
	Kind string
	// BodyBytes is the size of each body, at least MinBodyBytes. It is 0 if the
	// events have sizes of their own.
	BodyBytes int
}

// Kinds are all workloads:
//
//   - orders: each order is created, updated twice, and paid or not
//   - disputes: each is opened, updated, submitted, and won or lost
//   - mix: orders with a dispute each; one webhook of ten is a duplicate, and one
//     order of five is told out of order
//   - hot: as orders, but one webhook of ten is about the same order
//   - provider: as mix, and each webhook carries an event as providers send it
var Kinds = []string{"orders", "disputes", "mix", "hot", "provider"}

const (
	// MinBodyBytes is what a body needs for what it has to say.
	MinBodyBytes = 400
	maxBodyBytes = 256 << 10
)

// real says that the webhooks carry the events of providers.
func (w Workload) real() bool { return w.Kind == "provider" }

// Complete is the workload with the smallest bodies if it does not say how large
// they are and has to.
func (w Workload) Complete() Workload {
	if w.BodyBytes == 0 && !w.real() {
		w.BodyBytes = MinBodyBytes
	}
	return w
}

// Validate tells how to mend a workload that there is not.
func (w Workload) Validate() error {
	if _, known := lives[w.Kind]; !known {
		return fmt.Errorf("workload is %q: choose one of %s", w.Kind, strings.Join(Kinds, ", "))
	}
	if w.real() {
		if w.BodyBytes != 0 {
			return fmt.Errorf("body-bytes is %d: leave it out, for the events of workload %s have sizes of their own", w.BodyBytes, w.Kind)
		}
		return nil
	}
	if w.BodyBytes < MinBodyBytes || w.BodyBytes > maxBodyBytes {
		return fmt.Errorf("body-bytes is %d: choose a size from %d to %d", w.BodyBytes, MinBodyBytes, maxBodyBytes)
	}
	return nil
}

// String is the workload for people, such as "orders, 400 B".
func (w Workload) String() string {
	if w.real() {
		smallest, largest := eventSizes()
		return fmt.Sprintf("%s, events of %.1f to %.1f KiB", w.Kind, float64(smallest)/(1<<10), float64(largest)/(1<<10))
	}
	if w.BodyBytes >= 1<<10 && w.BodyBytes%(1<<10) == 0 {
		return fmt.Sprintf("%s, %d KiB", w.Kind, w.BodyBytes>>10)
	}
	return fmt.Sprintf("%s, %d B", w.Kind, w.BodyBytes)
}

// A fact is one thing that a provider tells of an order or its dispute. Its
// place in a story is its time.
type fact struct {
	dispute bool
	// status is the provider's word, resolution its detail of "closed".
	status, resolution string
	// kind is what the public API calls it.
	kind string
}

var (
	created   = fact{status: "created", kind: "created"}
	updated   = fact{status: "updated", kind: "updated"}
	paid      = fact{status: "success", kind: "success"}
	failed    = fact{status: "failed", kind: "failed"}
	opened    = fact{dispute: true, status: "opened", kind: "open"}
	reviewed  = fact{dispute: true, status: "updated", kind: "under_review"}
	submitted = fact{dispute: true, status: "submitted", kind: "submitted"}
	won       = fact{dispute: true, status: "closed", resolution: "won", kind: "won"}
	lost      = fact{dispute: true, status: "closed", resolution: "lost", kind: "lost"}
)

// life is what becomes of an order, in two versions that take turns, and how it
// is told.
type life struct {
	stories [2][]fact
	// telling is the places in the story in the sequence in which they are sent: a
	// place that comes twice is a duplicate. Every fifth order is told by shuffled.
	telling, shuffled []int
}

var lives = map[string]life{
	"orders":   {stories: [2][]fact{{created, updated, updated, paid}, {created, updated, updated, failed}}},
	"hot":      {stories: [2][]fact{{created, updated, updated, paid}, {created, updated, updated, failed}}},
	"disputes": {stories: [2][]fact{{opened, reviewed, submitted, won}, {opened, reviewed, submitted, lost}}},
	"mix":      mixed,
	"provider": mixed,
}

var mixed = life{
	stories: [2][]fact{
		{created, updated, opened, updated, reviewed, updated, paid, submitted, won},
		{created, updated, opened, updated, reviewed, updated, failed, submitted, lost},
	},
	telling:  []int{0, 1, 2, 3, 4, 3, 5, 6, 7, 8},
	shuffled: []int{0, 3, 2, 1, 4, 3, 6, 5, 7, 8},
}
