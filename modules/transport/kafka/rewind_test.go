package kafka

import (
	"slices"
	"testing"
)

func TestRewound(t *testing.T) {
	at := func(partition int32, applied, oldest, newest int64) position {
		return position{topicPartition{"orders", partition}, applied, oldest, newest}
	}
	for name, test := range map[string]struct {
		current   position
		want      int64
		changed   bool
		again     int64
		isMissing int64
		startsAt  int64
	}{
		"behind":                     {current: at(0, 50, 0, 60), want: 20, changed: true, again: 30, startsAt: 20},
		"nothing since":              {current: at(0, 20, 0, 60), want: 20},
		"the group is behind":        {current: at(0, 10, 0, 60), want: 20},
		"the group has no offset":    {current: at(0, NoOffset, 0, 60), want: 20},
		"the offset is not known":    {current: at(0, UnknownOffset, 0, 60), want: 20},
		"a part was deleted":         {current: at(0, 50, 30, 60), want: 20, changed: true, again: 20, isMissing: 10, startsAt: 30},
		"all was deleted":            {current: at(0, 50, 50, 60), want: 20, changed: true, isMissing: 30, startsAt: 50},
		"more than that was deleted": {current: at(0, 50, 55, 60), want: 20, changed: true, isMissing: 30, startsAt: 50},
		"another partition":          {current: at(1, 50, 0, 60), want: 20},
	} {
		changed := rewound([]position{test.current}, []GroupOffset{{"orders", 0, test.want}})
		if !test.changed {
			if len(changed) > 0 {
				t.Errorf("%s: rewound = %+v, want nothing", name, changed)
			}
			continue
		}
		if len(changed) != 1 || changed[0].Again() != test.again || changed[0].Missing != test.isMissing || changed[0].Offset+changed[0].Missing != test.startsAt {
			t.Errorf("%s: rewound = %+v, want %d again from %d and %d missing", name, changed, test.again, test.startsAt, test.isMissing)
		}
	}
	if changed := rewound(nil, nil); !slices.Equal(changed, nil) {
		t.Errorf("rewound of nothing = %v", changed)
	}
}
