package cmd

import (
	"context"
	"flag"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/door"
)

// adminConfig configures the admin listener and its server.
type adminConfig struct {
	door   door.Config
	server admin.Config
}

// RegisterFlags declares the flags. addr is the default address, which differs by
// command, so that commands can run side by side on one machine.
func (c *adminConfig) RegisterFlags(fs *flag.FlagSet, addr string) {
	c.door.RegisterFlags(fs, door.Admin.At(addr))
	c.server.RegisterFlags(fs)
}

// Validate checks the settings of the listener.
func (c adminConfig) Validate() error { return c.door.Validate() }

// adminNeeds returns the role that a path of the admin listener needs. A load balancer
// and a supervisor of containers ask for the health without a token.
func adminNeeds(r *http.Request) door.Role {
	switch r.URL.Path {
	case "/livez", "/readyz":
		return door.Anyone
	case "/metrics", "/webhooks", "/sources":
		return door.Reader
	default:
		return door.Operator
	}
}

// apiNeeds returns the role that a request to the api listener needs. A load balancer
// checks its health without a token.
func apiNeeds(r *http.Request) door.Role {
	switch {
	case api.IsHealthCheck(r):
		return door.Anyone
	case api.NeedsOperator(r):
		return door.Operator
	default:
		return door.Reader
	}
}

// openDoor opens a listener for a server that is built next. It is a part of its own,
// which outlives the server.
func (p *process) openDoor(ctx context.Context, cfg door.Config, options door.Options) (*door.Door, error) {
	options.Proxies, options.Log = p.proxies, p.log
	d, err := door.Open(cfg, options)
	if err != nil {
		return nil, err
	}
	p.start(ctx, "files of the "+d.Name()+" listener", d.Run)
	p.onHangup(d.Reload)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doors = append(p.doors, d)
	return d, nil
}

func (p *process) openDoors() []*door.Door {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doors[:len(p.doors):len(p.doors)]
}

func newTokens() *cobra.Command {
	tokens := &cobra.Command{Use: "tokens", Short: "Make tokens for the api and admin listeners"}
	return flags.Group(tokens, newTokensNew())
}

// newTokenConfig describes a token to make.
type newTokenConfig struct{ name, role string }

func (c *newTokenConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.name, "name", "", "name of the token, which says who uses it, such as grafana")
	fs.StringVar(&c.role, "role", "reader", "role of the token: reader reads data and metrics, operator settles dead letters and takes profiles too")
}

func newTokensNew() *cobra.Command {
	var cfg newTokenConfig
	command := &cobra.Command{
		Use:   "new",
		Short: "Print a fresh token, and its line for --api-tokens-file or --admin-tokens-file",
		Long: "Print a fresh token, and its line for --api-tokens-file or --admin-tokens-file. The line has the SHA-256\n" +
			"of the token, which is not stored and cannot be shown again.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &cfg)
	command.RunE = func(command *cobra.Command, _ []string) error {
		role, err := door.ParseRole(cfg.role)
		if err != nil {
			return fmt.Errorf("--role: %w", err)
		}
		secret, line, err := door.NewToken(cfg.name, role)
		if err != nil {
			return fmt.Errorf("--name: %w", err)
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "token, for the header Authorization: Bearer …\n%s\n\nline for the file of tokens\n%s\n", secret, line)
		return err
	}
	return command
}
