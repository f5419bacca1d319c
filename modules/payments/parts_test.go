package payments

import (
	"fmt"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// foldOrder folds snapshots such as "success p1 amount=5USD captured=5USD". The part
// is "-" for the order as a whole.
func foldOrder(t *testing.T, lines ...string) (Order, payrelayv1.DeadLetterReason) {
	t.Helper()
	o, last := Order{ID: "o1"}, noReason
	for i, line := range lines {
		words := strings.Fields(line)
		u := orderUpdate(fmt.Sprint("e", i), int64(100+i), words[0])
		s := u.GetOrder()
		s.Part = strings.Trim(words[1], "-")
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			m := new(payrelayv1.Money)
			if n, err := fmt.Sscanf(value, "%d%s", &m.MinorUnits, &m.Currency); n != 2 {
				t.Fatal(err)
			}
			switch name {
			case "amount":
				s.Amount = m
			case "authorized":
				s.Authorized = m
			case "captured":
				s.Captured = m
			case "refunded":
				s.Refunded = m
			default:
				t.Fatalf("unknown total %q", name)
			}
		}
		o, last = stepOrder(o, u, false)
	}
	return o, last
}

func word(m Money) string {
	if !m.known() {
		return "-"
	}
	return fmt.Sprint(m.MinorUnits, m.Currency)
}

func TestParts(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  string // status, authorized, captured, refunded; "!" if the last is refused
	}{
		"nothing stated":                  {[]string{"success -"}, "success - - -"},
		"the sum of named parts":          {[]string{"success p1 captured=3USD", "success p2 captured=4USD refunded=1USD authorized=9USD"}, "success 9USD 7USD 1USD"},
		"the whole wins over the sum":     {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "success - captured=5USD"}, "success - 5USD -"},
		"the whole of each total alone":   {[]string{"success p1 captured=3USD refunded=2USD", "success - captured=5USD"}, "success - 5USD 2USD"},
		"an implied whole, lower":         {[]string{"success - amount=2USD", "success p1 captured=3USD"}, "success - 3USD -"},
		"an implied whole, higher":        {[]string{"success - amount=9USD", "success p1 captured=3USD"}, "success - 9USD -"},
		"an implied part":                 {[]string{"success p1 amount=3USD", "success p2 amount=4USD"}, "success - 7USD -"},
		"implied never falls":             {[]string{"success - amount=9USD", "success - amount=3USD"}, "success - 9USD -"},
		"implied rises":                   {[]string{"success - amount=3USD", "success - amount=9USD"}, "success - 9USD -"},
		"stated falls":                    {[]string{"success - captured=9USD", "success - captured=3USD"}, "success - 3USD -"},
		"stated beats implied":            {[]string{"success - amount=9USD", "success - amount=9USD captured=3USD"}, "success - 3USD -"},
		"a refund falls":                  {[]string{"success - captured=9USD refunded=5USD", "updated - refunded=0USD"}, "success - 9USD 0USD"},
		"amounts before success are none": {[]string{"created - amount=9USD", "authorized - amount=9USD authorized=9USD"}, "authorized 9USD - -"},

		"one of two parts reversed":             {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "reversed p1"}, "success - 4USD -"},
		"both of two parts reversed":            {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "reversed p1", "reversed p2"}, "reversed - 0USD -"},
		"one of two failed":                     {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "failed p1"}, "success - 4USD -"},
		"one of two canceled":                   {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "canceled p2"}, "success - 3USD -"},
		"the only part failed":                  {[]string{"success p1 amount=3USD", "failed p1"}, "reversed - 0USD -"},
		"the only part canceled":                {[]string{"success p1 amount=3USD", "canceled p1"}, "reversed - 0USD -"},
		"another part failed":                   {[]string{"success p1 amount=3USD", "failed p2"}, "success - 3USD -"},
		"another part canceled":                 {[]string{"success p1 amount=3USD", "canceled p2"}, "success - 3USD -"},
		"another part reversed":                 {[]string{"success p1 amount=3USD", "reversed p2"}, "success - 3USD -"},
		"an unnamed failure of a named success": {[]string{"success p1 amount=3USD", "failed -"}, "!success - 3USD -"},
		"a named failure of an unnamed success": {[]string{"success - amount=3USD", "failed p1"}, "!success - 3USD -"},
		"a named failure of both":               {[]string{"success - amount=3USD", "success p1 amount=3USD", "failed p1"}, "success - 3USD -"},
		"another failure of both":               {[]string{"success - amount=3USD", "success p1 amount=3USD", "canceled p2"}, "!success - 3USD -"},
		"reversed twice":                        {[]string{"success p1 captured=3USD", "reversed p1", "failed p1"}, "reversed - 0USD -"},
		"a failure after a reversal":            {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "reversed p1", "failed p1"}, "success - 4USD -"},

		"reversed as a whole":               {[]string{"success - amount=9USD", "reversed -"}, "reversed - 0USD -"},
		"reversed as a whole, parts":        {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "reversed -"}, "reversed - 0USD -"},
		"reversed as a whole, parts, again": {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "reversed -", "success p1 captured=3USD"}, "success - 3USD -"},
		"reversed with a rest":              {[]string{"success p1 captured=9USD", "reversed p1 captured=2USD"}, "reversed - 2USD -"},
		"reversed, then success":            {[]string{"success - amount=9USD", "reversed -", "success - amount=4USD"}, "success - 4USD -"},
		"success of less after a reversal":  {[]string{"success p1 captured=9USD", "reversed p1", "success p2 captured=4USD"}, "success - 4USD -"},
		"reversed before it paid":           {[]string{"created - amount=9USD", "reversed p1"}, "reversed - - -"},

		"refunded without numbers":                             {[]string{"success - amount=9USD", "refunded -"}, "success - 9USD 9USD"},
		"refunded, of a part":                                  {[]string{"success p1 captured=3USD", "success p2 captured=4USD", "refunded p1"}, "success - 7USD 3USD"},
		"refunded, then a number":                              {[]string{"success - amount=9USD", "refunded -", "updated - refunded=2USD"}, "success - 9USD 2USD"},
		"a number, then refunded":                              {[]string{"success - amount=9USD", "updated - refunded=2USD", "refunded -"}, "success - 9USD 9USD"},
		"refunded with a number":                               {[]string{"success - amount=9USD", "refunded - refunded=2USD"}, "success - 9USD 2USD"},
		"refunded without a number follows the captured total": {[]string{"refunded - amount=9USD", "success - captured=12USD"}, "success - 12USD 12USD"},
		"refunded without a success before":                    {[]string{"created -", "refunded - amount=9USD"}, "success - 9USD 9USD"},

		"two currencies, that of the amount": {[]string{"created - amount=1EUR", "updated p1 captured=3USD", "updated p2 captured=4EUR", "updated p3 captured=5EUR"}, "updated - 9EUR -"},
		"two currencies, the first":          {[]string{"updated p1 captured=3USD", "updated p2 captured=4EUR"}, "updated - 3USD -"},
		"a stated whole, reversed":           {[]string{"success - amount=9USD", "success - captured=9USD", "reversed -"}, "reversed - 0USD -"},
	} {
		t.Run(name, func(t *testing.T) {
			o, reason := foldOrder(t, test.lines...)
			totals := o.Totals()
			got := fmt.Sprint(OrderStatuses.Name(o.Status), " ", word(totals.Authorized), " ", word(totals.Captured), " ", word(totals.Refunded))
			if reason != noReason {
				got = "!" + got
			}
			if got != test.want {
				t.Errorf("%q = %s (%v), want %s; parts %s", test.lines, got, reason, test.want, o.Parts)
			}
		})
	}
}

// Equal parts have equal text, so that states can be compared with ==. Parts without a
// stated value are omitted.
func TestPartsAsText(t *testing.T) {
	one, _ := foldOrder(t, "success p1 captured=3USD", "success p2 captured=4USD")
	other, _ := foldOrder(t, "success p2 captured=4USD", "success p1 captured=3USD")
	if one.Parts != other.Parts || one.Parts == "" {
		t.Errorf("parts %s and %s, want the same", one.Parts, other.Parts)
	}
	if o, _ := foldOrder(t, "created p1", "updated -", "failed p2"); o.Parts != "" {
		t.Errorf("parts %s, want none", o.Parts)
	}
	for text, valid := range map[string]bool{"": true, one.Parts: true, "{": false, "[1]": false} {
		ps, err := decodeParts(text)
		if (err == nil) != valid {
			t.Errorf("decodeParts(%q) = %v, %v", text, ps, err)
		}
		if valid && ps.encode() != text {
			t.Errorf("decodeParts(%q).encode() = %q", text, ps.encode())
		}
	}
	broken := Order{ID: "o1", Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, Parts: "{"}
	if o, reason := stepOrder(broken, orderUpdate("e1", 100, "success"), false); reason != payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE || o != broken {
		t.Errorf("an order with unreadable parts: %v, %+v", reason, o)
	}
	if got := broken.Totals(); got != (Totals{}) {
		t.Errorf("totals of unreadable parts %+v, want none", got)
	}
}

func TestPartNames(t *testing.T) {
	for want, lines := range map[string][]string{
		"":         {"success - captured=5USD"},
		"[p1]":     {"success p1 captured=3USD", "success -"},
		"[p1 p2]":  {"success p2", "authorized p1 authorized=3USD", "failed p0"},
		"[p1 p10]": {"success p10", "success p1", "success p1 refunded=1USD"},
	} {
		o, _ := foldOrder(t, lines...)
		got := ""
		if names := o.PartNames(); names != nil {
			got = fmt.Sprint(names)
		}
		if got != want {
			t.Errorf("PartNames() after %q = %s, want %s", lines, got, want)
		}
	}
	if names := (Order{Parts: "not JSON"}).PartNames(); names != nil {
		t.Errorf("PartNames() of unreadable parts = %q, want none", names)
	}
}
