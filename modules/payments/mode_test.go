package payments_test

import (
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestModeText(t *testing.T) {
	for _, mode := range payments.Modes {
		text, _ := mode.MarshalText()
		var got payments.Mode
		if err := got.UnmarshalText(text); got != mode || err != nil {
			t.Errorf("UnmarshalText(%q) = %q, %v", text, got, err)
		}
	}
	for _, name := range []string{"", "KAFKA", "rest", "kafka "} {
		mode := payments.Mode("before")
		err := mode.UnmarshalText([]byte(name))
		if err == nil || mode != "before" {
			t.Errorf("UnmarshalText(%q) = %q, %v, want an error and no change", name, mode, err)
			continue
		}
		for _, mode := range payments.Modes {
			if !strings.Contains(err.Error(), string(mode)) {
				t.Errorf("UnmarshalText(%q) = %v, want an error that names %s", name, err, mode)
			}
		}
	}
}

func TestRPCModes(t *testing.T) {
	want := map[payments.Mode]bool{payments.Kafka: false, payments.HTTP: true, payments.Protobuf: true, payments.GRPC: true, payments.Direct: false}
	if len(want) != len(payments.Modes) {
		t.Errorf("this test has %d modes, want %d", len(want), len(payments.Modes))
	}
	for _, mode := range payments.Modes {
		if mode.RPC() != want[mode] {
			t.Errorf("%s.RPC() = %t, want %t", mode, mode.RPC(), want[mode])
		}
	}
}
