package postgres

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestClasses(t *testing.T) {
	for code, want := range map[string]error{
		"23505": payments.ErrRaced, "40001": payments.ErrRaced, "40P01": payments.ErrRaced,
		"28P01": payments.ErrMisconfigured, "28000": payments.ErrMisconfigured, "3D000": payments.ErrMisconfigured, "3F000": payments.ErrMisconfigured, "42501": payments.ErrMisconfigured, "42P01": payments.ErrMisconfigured,
		"22021": payments.ErrUnstorable, "22P05": payments.ErrUnstorable, "23514": payments.ErrUnstorable, "23503": payments.ErrUnstorable, "54000": payments.ErrUnstorable,
		"08006": nil, "21000": nil, "25006": nil, "53100": nil, "53300": nil, "55P03": nil, "57014": nil, "57P01": nil, "57P03": nil, "58030": nil, "XX000": nil, "": nil,
	} {
		cause := &pgconn.PgError{Code: code}
		got := classified(fmt.Errorf("commit: %w", cause))
		for _, class := range []error{payments.ErrRaced, payments.ErrMisconfigured, payments.ErrUnstorable} {
			if errors.Is(got, class) != (class == want) {
				t.Errorf("classified(%s) = %v, want %v", code, got, want)
			}
		}
		if !errors.Is(got, cause) {
			t.Errorf("classified(%s) = %v, want it to wrap its cause", code, got)
		}
	}
	if got := classified(&pgconn.PgError{Code: "23514", ConstraintName: wonRace}); !errors.Is(got, payments.ErrRaced) {
		t.Errorf("classified of a lost race = %v, want ErrRaced", got)
	}
	if classified(nil) != nil || classified(io.EOF) != io.EOF {
		t.Error("classified changes an error that is not the server's")
	}
}
