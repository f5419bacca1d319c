package cmd

import (
	"runtime/debug"
	"testing"
)

func TestBuild(t *testing.T) {
	settings := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.modified", Value: "false"},
		{Key: "vcs.revision", Value: "c0b29fe"}, {Key: "vcs.time", Value: "2026-01-04T10:00:00Z"}}
	dirty := append([]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, settings[2:]...)
	for want, got := range map[string]build{
		"v1.2, commit c0b29fe of 2026-01-04T10:00:00Z, go1.26":         newBuild("v1.2", &debug.BuildInfo{GoVersion: "go1.26", Settings: settings}),
		"v0.0.1, commit c0b29fe+dirty of 2026-01-04T10:00:00Z, go1.26": newBuild("", &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v0.0.1"}, Settings: dirty}),
		"(devel), commit unknown, go1.26":                              newBuild("", &debug.BuildInfo{GoVersion: "go1.26"}),
	} {
		if got.String() != want {
			t.Errorf("newBuild = %q, want %q", got, want)
		}
	}
}
