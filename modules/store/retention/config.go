package retention

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config configures how long bodies are kept.
type Config struct{ Keep Period }

// RegisterFlags declares the flags.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.TextVar(&c.Keep, "body-retention", Period(0), "how long the bodies of webhooks are kept, such as 30d, or 0 to keep them; everything else is kept: `BODY_RETENTION`")
}

// Period is a duration that can be written in days, such as 30d. It is not negative.
type Period time.Duration

// UnmarshalText parses a number of days, or a duration as of time.ParseDuration.
func (p *Period) UnmarshalText(text []byte) error {
	days, inDays := strings.CutSuffix(string(text), "d")
	parsed, err := time.ParseDuration(string(text))
	if number, ok := strconv.ParseUint(days, 10, 16); inDays && ok == nil {
		parsed, err = time.Duration(number)*24*time.Hour, nil
	}
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is not a time to keep something: write days, such as 30d, or a duration, such as 36h", text)
	}
	*p = Period(parsed)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p Period) String() string {
	const day = Period(24 * time.Hour)
	switch {
	case p == 0:
		return "0"
	case p%day == 0:
		return strconv.FormatInt(int64(p/day), 10) + "d"
	default:
		return time.Duration(p).String()
	}
}
