package jsonbody

import (
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestTolerantMembers(t *testing.T) {
	for body, want := range map[string]Text{
		`"a"`: "a", `"\u00e9\n"`: "é\n", `"\ud800"`: "\ufffd", "\"\xff\"": "\ufffd", `12.50`: "12.50", `9223372036854775808`: "9223372036854775808",
		`true`: "true", `false`: "false", `null`: "", `{"a":1}`: "", `[1]`: "",
	} {
		got := Text("before")
		if err := json.Unmarshal([]byte(body), &got, Lenient); err != nil || got != want {
			t.Errorf("Text of %s = %q, %v, want %q", body, got, err, want)
		}
	}
	for body, want := range map[string][]Text{
		`[{"a":1},{"a":"2","a":"3"},null,7,{}]`: {"1", "3", "", "", ""}, `{"x":{"a":"1"},"x":{"a":2},"y":[]}`: {"1", "2", ""},
		`[]`: nil, `{}`: nil, `null`: nil, `"x"`: nil, `7`: nil,
	} {
		var list List[struct {
			A Text `json:"a"`
		}]
		if err := json.Unmarshal([]byte(body), &list, Lenient); err != nil {
			t.Errorf("List of %s failed: %v", body, err)
		}
		var got []Text
		for _, element := range list {
			got = append(got, element.A)
		}
		if !slices.Equal(got, want) {
			t.Errorf("List of %s = %q, want %q", body, got, want)
		}
	}
	for _, body := range []string{``, `[{]`, `[{"a":}]`, `{"a"`, `[1`, `[1}`} {
		var list List[struct{}]
		if err := json.Unmarshal([]byte(body), &list, Lenient); err == nil {
			t.Errorf("List of %s = %v, want an error", body, list)
		}
	}
}

func TestTimeOfText(t *testing.T) {
	for text, want := range map[Text]string{
		"2021-01-01T01:00:00+01:00": "2021-01-01T00:00:00Z", " 2021-01-01T01:00:00Z ": "2021-01-01T01:00:00Z",
		"2021-01-01 01:00:00": "2021-01-01T01:00:00Z", "2021-01-01 01:00:00.1234567": "2021-01-01T01:00:00.123456Z",
		"": "", " ": "", "0001-01-01T00:00:00Z": "", "0000-00-00 00:00:00": "", "1970-01-01 00:00:00": "",
		"9999-12-31T23:59:59-01:00": "refused", "tomorrow": "refused", "1609459200": "refused", "2021-13-01 01:00:00": "refused",
	} {
		at, ok := text.Time(time.RFC3339, time.DateTime)
		got := ""
		if at != nil {
			got = at.AsTime().Format(time.RFC3339Nano)
		} else if !ok {
			got = "refused"
		}
		if got != want {
			t.Errorf("Text(%q).Time() = %q, want %q", text, got, want)
		}
	}
}
