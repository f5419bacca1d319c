package cmd

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// logConfig says what is logged and how.
type logConfig struct {
	level  slog.Level
	format string
}

func (c *logConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.TextVar(&c.level, "log-level", slog.LevelInfo, "lowest level to log, one of debug, info, warn and error: `LOG_LEVEL`")
	fs.StringVar(&c.format, "log-format", "", "format of the log, text or json; by default text on a terminal and json elsewhere: `LOG_FORMAT`")
}

// logger writes to stderr; stdout belongs to what a command answers.
func (c *logConfig) logger(out *os.File) (*slog.Logger, error) {
	format := c.format
	if format == "" {
		format = defaultFormat(out)
	}
	handler, err := newHandler(out, format, &slog.HandlerOptions{Level: c.level})
	if err != nil {
		return nil, err
	}
	return slog.New(handler), nil
}

func newHandler(out io.Writer, format string, options *slog.HandlerOptions) (slog.Handler, error) {
	switch format {
	case "text":
		return slog.NewTextHandler(out, options), nil
	case "json":
		return slog.NewJSONHandler(out, options), nil
	default:
		return nil, fmt.Errorf("log-format (LOG_FORMAT) is %q: choose text or json", format)
	}
}

func defaultFormat(out *os.File) string {
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return "text"
	}
	return "json"
}
