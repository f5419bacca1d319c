package payments_test

import (
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestPlainText(t *testing.T) {
	full := strings.Repeat("x", payments.MaxTextBytes)
	for text, want := range map[string]string{
		"":                          "",
		"fraud":                     "fraud",
		"two\nlines\tand a tab\x7f": "two lines and a tab ",
		full:                        full,
		full + "y":                  full,
		full[1:] + "é":              full[1:],
		full[2:] + "é":              full[2:] + "é",
		full[1:] + "😀😀":             full[1:],
	} {
		got := payments.PlainText(text)
		if got != want {
			t.Errorf("PlainText(%.20q...) = %.40q, want %.40q", text, got, want)
		}
		u := dispute("e1", 0, disputeOpen, reason(got))
		if err := payments.Validate(u); err != nil {
			t.Errorf("Validate(PlainText(%.20q...)) = %v, want nil", text, err)
		}
	}
}
