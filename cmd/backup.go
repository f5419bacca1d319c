package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// backupConfig configures app backup.
type backupConfig struct {
	data     flags.Data
	to       string
	cluster  kafka.ClusterConfig
	topics   kafka.TopicConfig
	password flags.Password
}

func (c *backupConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.to, "to", "", "file to write, which must not exist, or directory to write payrelay-TIME.db into")
}

func newBackup() *cobra.Command {
	var cfg backupConfig
	command := &cobra.Command{
		Use:   "backup",
		Short: "Back up an SQLite database, even while a process uses it",
		Long: "Writes a consistent copy of the database, checks it, and records in it the position of the consumer group.\n" +
			"A process that starts with the copy applies the later records of the broker again.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &cfg, &cfg.data, &cfg.cluster, &cfg.topics, &cfg.password)
	command.RunE = func(command *cobra.Command, _ []string) error {
		file, err := cfg.backUp(command.Context())
		if err != nil {
			return err
		}
		fmt.Fprintf(command.OutOrStdout(), "backed up %s to %s\n", cfg.data.Shown(), file)
		return nil
	}
	command.AddCommand(newBackupAcknowledge())
	return command
}

func newBackupAcknowledge() *cobra.Command {
	var data flags.Data
	command := &cobra.Command{
		Use:   "acknowledge",
		Short: "Acknowledge that records are missing after a restore, after the providers have sent them again",
		Args:  flags.NoArgs,
	}
	flags.Register(command, &data)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return withDatabase(command.Context(), data, func(db database) error {
			marked, ok := db.(restorable)
			if !ok {
				return errNotSQLite
			}
			mark, err := marked.Mark(command.Context())
			if err != nil || mark == nil {
				return errors.Join(err, printLine(command, "nothing is missing"))
			}
			if err := marked.SetMark(command.Context(), nil); err != nil {
				return err
			}
			if mark.Missing() == 0 {
				return printLine(command, "acknowledged: the database was restored from a backup of "+mark.TakenAt.Format(time.RFC3339))
			}
			return printLine(command, fmt.Sprintf("acknowledged: %d records are missing since %s", mark.Missing(), firstMissing(mark).Format(time.RFC3339)))
		})
	}
	return command
}

// firstMissing returns the time since when records are missing.
func firstMissing(mark *sqlite.Mark) (first time.Time) {
	for _, p := range mark.Positions {
		if p.Missing > 0 && (first.IsZero() || p.Since.Before(first)) {
			first = p.Since
		}
	}
	return first
}

func printLine(command *cobra.Command, text string) error {
	_, err := fmt.Fprintln(command.OutOrStdout(), text)
	return err
}

var errNotSQLite = errors.New("database-url (DATABASE_URL) names a PostgreSQL database: back it up with pg_dump or base backups, as docs/backup.md describes")

// restorable is a database in a file, which can be backed up and restored.
type restorable interface {
	Backup(ctx context.Context, path string, mark sqlite.Mark) error
	Mark(ctx context.Context) (*sqlite.Mark, error)
	SetMark(ctx context.Context, mark *sqlite.Mark) error
}

// backUp returns the name of the new file.
func (cfg backupConfig) backUp(ctx context.Context) (file string, err error) {
	if cfg.to == "" {
		return "", errors.New("--to is empty: name the file or the directory of the backup")
	}
	if cfg.cluster.Password, err = cfg.password.Secret(); err != nil {
		return "", err
	}
	if err := validate(cfg.data, cfg.topics); err != nil {
		return "", err
	}
	file = cfg.to
	mark := sqlite.Mark{TakenAt: time.Now()}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = filepath.Join(file, mark.TakenAt.UTC().Format("payrelay-20060102T150405Z.db"))
	}
	if exists(file) {
		return "", fmt.Errorf("%s already exists, and a backup never overwrites a file: name another file with --to", file)
	}
	return file, withDatabase(ctx, cfg.data, func(db database) error {
		target, ok := db.(restorable)
		if !ok {
			return errNotSQLite
		}
		// Before the copy: a record that is applied meanwhile may be in the copy, and is
		// a duplicate when it is applied again.
		if mark.Positions, err = cfg.positions(ctx); err != nil {
			return fmt.Errorf("read the position of the consumer group: %w", err)
		}
		return target.Backup(ctx, file, mark)
	})
}

// positions returns the positions of the group on the Kafka cluster and in the log of the
// embedded broker, whose backlog a process with a cluster applies too.
func (cfg backupConfig) positions(ctx context.Context) (all []sqlite.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	if len(cfg.cluster.Brokers) > 0 {
		if err := cfg.cluster.Validate(); err != nil {
			return nil, err
		}
		if all, err = positionsOn(ctx, cfg.cluster, cfg.topics); err != nil {
			return nil, err
		}
	}
	dir := cfg.data.BrokerDir()
	if !exists(dir) {
		return all, nil
	}
	addr, stop, err := cfg.embedded(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	logged, err := positionsOn(ctx, kafka.ClusterConfig{Brokers: []string{addr}}, cfg.topics)
	return append(all, logged...), err
}

func positionsOn(ctx context.Context, cluster kafka.ClusterConfig, topics kafka.TopicConfig) (positions []sqlite.Position, err error) {
	id, err := kafka.ClusterID(ctx, cluster, topics)
	if err != nil {
		return nil, err
	}
	offsets, err := kafka.GroupOffsets(ctx, cluster, topics)
	for _, o := range offsets {
		positions = append(positions, sqlite.Position{Cluster: id, Topic: o.Topic, Partition: o.Partition, Offset: o.Offset})
	}
	return positions, err
}

// addressFile has the address of a running embedded broker, in the directory of its log.
const addressFile = "address"

// embedded returns the address of the embedded broker, which it starts if no process runs
// it.
func (cfg backupConfig) embedded(ctx context.Context, dir string) (addr string, stop func(), err error) {
	unlock, err := lockDir(dir)
	if err != nil { // a process runs it
		text, readErr := os.ReadFile(filepath.Join(dir, addressFile))
		if readErr != nil {
			return "", nil, errors.Join(err, readErr)
		}
		return strings.TrimSpace(string(text)), func() {}, nil
	}
	// It keeps all records: earlier backups may need those that this one does not.
	keepAll := broker.Config{Addr: "127.0.0.1:0", SyncWrites: true, Keep: math.MaxInt64, KeepBytes: math.MaxInt64}
	b, err := broker.Open(keepAll, dir, cfg.topics.Names(), cfg.topics.Group, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", nil, errors.Join(err, unlock())
	}
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- b.Run(running) }()
	return b.Addr(), func() { cancel(); <-done; _ = unlock() }, nil
}

// scrapeTimeout bounds a reading of the mark for the metrics.
const scrapeTimeout = time.Second

// restored handles a database that was restored from a backup.
func (r *apiRole) restored(ctx context.Context, p *process, db database) (err error) {
	marked, ok := db.(restorable)
	if !ok {
		return nil
	}
	if r.mark, err = marked.Mark(ctx); err != nil {
		return err
	}
	r.marked = marked
	p.admin.AddGauge("payrelay_restore_missing_records", "Records that a restored database lacks and that cannot be applied again. It is 0 after they are acknowledged.",
		func() float64 { return float64(r.stillMissing(ctx)) })
	if r.mark == nil {
		return nil
	}
	r.missing.Store(r.mark.Missing())
	p.reportMissing(r.mark)
	switch {
	case r.mark.TakenAt.IsZero():
		return nil
	case len(r.mark.Pending()) == 0:
		p.log.Warn("the database was restored from a backup without positions of a broker, so no records since then are applied again: have the providers send again the webhooks since then", "taken_at", r.mark.TakenAt)
		return r.settle(ctx, nil)
	default:
		p.log.Warn("the database was restored from a backup: mode kafka applies the records of the broker since then again; have the providers send again the webhooks since then that arrived in another mode",
			"taken_at", r.mark.TakenAt)
		return nil
	}
}

// stillMissing returns the number of records that are missing. Another process can
// acknowledge them meanwhile.
func (r *apiRole) stillMissing(ctx context.Context) int64 {
	if r.missing.Load() > 0 {
		ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
		defer cancel()
		if mark, err := r.marked.Mark(ctx); err == nil {
			r.missing.Store(mark.Missing())
		}
	}
	return r.missing.Load()
}

// settle replaces the mark by one with only the missing records and some positions.
func (r *apiRole) settle(ctx context.Context, pending []sqlite.Position) error {
	left := &sqlite.Mark{Positions: pending}
	if len(pending) > 0 {
		left.TakenAt = r.mark.TakenAt
	}
	for _, p := range r.mark.Positions {
		if p.Missing > 0 {
			left.Positions = append(left.Positions, p)
		}
	}
	if len(left.Positions) == 0 {
		left = nil
	}
	if err := r.marked.SetMark(ctx, left); err != nil {
		return err
	}
	r.mark = left
	r.missing.Store(left.Missing())
	return nil
}

// membersTimeout is longer than a killed process remains a member of its group.
const membersTimeout = 30 * time.Second

// setBack moves the consumer group back to the position of the backup, before the consumer
// begins. Positions on another cluster than the consumer's are left for its own consumer.
func (r *apiRole) setBack(ctx context.Context, p *process, cfg kafka.Config) error {
	if len(r.mark.Pending()) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, membersTimeout)
	defer cancel()
	id, err := kafka.ClusterID(ctx, cfg.ClusterConfig, cfg.TopicConfig)
	if err != nil {
		return err
	}
	var to []kafka.GroupOffset
	var others []sqlite.Position
	for _, position := range r.mark.Pending() {
		if position.Cluster != "" && position.Cluster != id {
			others = append(others, position)
			continue
		}
		to = append(to, kafka.GroupOffset{Topic: position.Topic, Partition: position.Partition, Offset: position.Offset})
	}
	if len(to) == 0 {
		return nil
	}
	changed, err := kafka.RewindWhenEmpty(ctx, cfg, to)
	if err != nil {
		return fmt.Errorf("the database was restored from a backup of %s: %w", r.mark.TakenAt.Format(time.RFC3339), err)
	}
	lost := new(sqlite.Mark)
	for _, c := range changed {
		p.log.Warn("the database was restored from a backup: the records since then are applied again",
			"taken_at", r.mark.TakenAt, "topic", c.Topic, "partition", c.Partition, "position", c.Offset, "committed", c.Committed, "records", c.Again())
		if c.Missing > 0 {
			lost.Positions = append(lost.Positions, sqlite.Position{Cluster: id, Topic: c.Topic, Partition: c.Partition, Offset: c.Offset, Missing: c.Missing, Since: r.mark.TakenAt})
		}
	}
	p.reportMissing(lost)
	r.mark.Positions = append(r.mark.Positions, lost.Positions...)
	return r.settle(ctx, others)
}

// reportOthers logs the positions of a backup that no consumer of the process could use.
func (r *apiRole) reportOthers(p *process) {
	for _, position := range r.mark.Pending() {
		p.log.Warn("the database was restored from a backup of a process with another Kafka cluster or embedded broker, whose records since then are not applied again: start with that one, or have the providers send again the webhooks since then and run app backup acknowledge",
			"taken_at", r.mark.TakenAt, "cluster", position.Cluster, "topic", position.Topic, "partition", position.Partition, "position", position.Offset)
	}
}

// reportMissing logs how many records are missing.
func (p *process) reportMissing(mark *sqlite.Mark) {
	for _, m := range mark.Positions {
		if m.Missing > 0 {
			p.log.Error("the database was restored from a backup, and the log no longer has all records since then: have the providers send again the webhooks since taken_at, and then run app backup acknowledge",
				"taken_at", m.Since, "topic", m.Topic, "partition", m.Partition, "from_offset", m.Offset, "missing", m.Missing)
		}
	}
}
