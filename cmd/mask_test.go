package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestCardNumbersAreMasked(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "",
		"4242424242424242":                       "************4242",
		"4242 4242 4242 4242":                    "**** **** **** 4242",
		"4242-4242-4242-4242":                    "****-****-****-4242",
		"card 4012888888881881, order":           "card ************1881, order",
		"378282246310005":                        "***********0005",
		"4222222222222":                          "*********2222",
		"6304000000000000 and 4242424242424242.": "************0000 and ************4242.",
		"x4242424242424242x":                     "x************4242x",
		"4242424242424241":                       "4242424242424241", // a wrong check digit
		"424242424242":                           "424242424242",     // too short
		"42424242424242424242":                   "42424242424242424242",
		"4242  4242 4242 4242 4242":              "4242  **** **** **** 4242",
		"2026-01-04T10:00:00Z":                   "2026-01-04T10:00:00Z",
		"é4242424242424242":                      "é************4242",
		"4242.4242.4242.4242":                    "4242.4242.4242.4242",
	} {
		if got := maskCardNumbers(text); got != want {
			t.Errorf("maskCardNumbers(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestLogHasNoCardNumber(t *testing.T) {
	const card = "4242424242424242"
	for _, handler := range []func(*bytes.Buffer, *slog.HandlerOptions) slog.Handler{
		func(out *bytes.Buffer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(out, o) },
		func(out *bytes.Buffer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(out, o) },
	} {
		var out bytes.Buffer
		log := slog.New(handler(&out, &slog.HandlerOptions{ReplaceAttr: maskAttr})).With("of", card)
		log.Error("message "+card, "text", card, "error", fmt.Errorf("apply: %w", errors.New(card)), "list", []string{"a", card}, slog.Group("g", "id", card), "n", 7)
		if got := out.String(); strings.Contains(got, card) || strings.Count(got, "************4242") != 6 || !strings.Contains(got, "ERROR") || !strings.Contains(got, "7") {
			t.Errorf("log = %s, want each card number masked", got)
		}
	}
}
