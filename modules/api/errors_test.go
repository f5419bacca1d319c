package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/labstack/echo/v4"
)

func TestErrorCodes(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		code   string
		rpc    connect.Code
		status int
	}{
		{"invalid update", fmt.Errorf("wrapped: %w", &refusal{"field_required", "x"}), "field_required", connect.CodeInvalidArgument, 400},
		{"wrapped in an RPC error", connect.NewError(connect.CodeInvalidArgument, &refusal{"digest_mismatch", "x"}), "digest_mismatch", connect.CodeInvalidArgument, 400},
		{"not found", &refusal{"not_found", "x"}, "not_found", connect.CodeNotFound, 404},
		{"no route", echo.ErrNotFound, "not_found", connect.CodeNotFound, 404},
		{"wrong method", echo.ErrMethodNotAllowed, "method_not_allowed", connect.CodeUnimplemented, 405},
		{"too large", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 1}), "body_too_large", connect.CodeResourceExhausted, 413},
		{"too slow", fmt.Errorf("query: %w", context.DeadlineExceeded), "deadline_exceeded", connect.CodeDeadlineExceeded, 503},
		{"unavailable", &refusal{"unavailable", "x"}, "unavailable", connect.CodeUnavailable, 503},
		{"unknown", errors.New("dial postgres://user:secret@host"), "internal", connect.CodeInternal, 500},
	}
	for _, test := range tests {
		answer := describe(test.err)
		if answer.code != test.code || rpcCode(answer.code) != test.rpc || httpStatus(answer.code) != test.status {
			t.Errorf("%s = %s, %v, %d, want %s, %v, %d", test.name, answer.code, rpcCode(answer.code), httpStatus(answer.code), test.code, test.rpc, test.status)
		}
		if rpc := rpcError(test.err); rpc.Code() != test.rpc {
			t.Errorf("rpcError(%s) = %v, want %v", test.name, rpc.Code(), test.rpc)
		}
		if strings.Contains(answer.message, "secret") {
			t.Errorf("message of %s = %q, which contains a secret", test.name, answer.message)
		}
	}
}

func TestMessagesAreShortAndPrintable(t *testing.T) {
	for _, message := range []string{strings.Repeat("é", 200), "a\x00b\nc", "broken \xff", strings.Repeat("x", 1<<20)} {
		got := describe(&refusal{"bad", message}).message
		if len(got) > 256 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n") {
			t.Errorf("message of %.20q = %q, want printable UTF-8 of at most 256 bytes", message, got)
		}
	}
}
