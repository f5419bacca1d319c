package cmd

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/doctor"
	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
)

// examinee is the configuration of a process, as app doctor checks it. A part that the
// process does not have is nil.
type examinee struct {
	prepare   func() error
	registers []flags.Registrar
	data      *flags.Data
	broker    bool // whether the process may have a broker of its own
	ingest    *ingest.Config
	wire      *transport.Config
	rpc       *transport.RPCConfig
	kafka     *kafka.Config
	admin     *adminConfig
	doors     []*door.Config // without that of admin
}

// examination is one run of app doctor.
type examination struct {
	examinee
	output  string
	minFree int
	expiry  time.Duration
	fresh   bool // whether the database does not exist yet, or is empty
	doctor.Report
}

func newDoctor() *cobra.Command {
	var all allConfig
	var in serveIngestConfig
	var api serveAPIConfig
	command := newExamination("all", &examinee{
		prepare: all.prepare, registers: all.registrars(), data: &all.data, broker: true, ingest: &all.ingest, wire: &all.wire, kafka: &all.kafka,
		admin: &all.admin, doors: []*door.Config{&all.door, &all.public, &all.internal},
	})
	command.Use = "doctor [all]"
	command.Short = "Check an installation, and explain what to do about each problem"
	command.Long = "Checks the configuration, the database with its settings, schema and privileges, the topics, the clock, the\n" +
		"disk, the expiry of certificates and secrets, and the addresses. It changes nothing. Give it the flags and the\n" +
		"environment of the serve command: it checks what app serve all needs, or app serve ingest or api with the\n" +
		"command of that name. The exit code is 1 if a check fails."
	command.ValidArgs = []string{"all"}
	command.Args = func(command *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] == "all" {
			return nil
		}
		return flags.NoArgs(command, args)
	}
	command.AddCommand(
		newExamination("ingest", &examinee{
			prepare: in.prepare, registers: in.registrars(), ingest: &in.ingest, wire: &in.wire, rpc: &in.rpc, kafka: &in.kafka,
			admin: &in.admin, doors: []*door.Config{&in.door},
		}),
		newExamination("api", &examinee{
			prepare: api.prepare, registers: api.registrars(), data: &api.data, wire: &api.wire, kafka: &api.kafka,
			admin: &api.admin, doors: []*door.Config{&api.public, &api.internal},
		}))
	return command
}

func newExamination(role string, of *examinee) *cobra.Command {
	e := examination{examinee: *of}
	command := &cobra.Command{
		Use:   role,
		Short: "Check what app serve " + role + " needs",
		Args:  flags.NoArgs,
	}
	flags.Register(command, of.registers...)
	command.Flags().StringVar(&e.output, "output", "text", "format, text or json")
	flags.Choose(command, "output", []string{"text", "json"})
	command.Flags().IntVar(&e.minFree, "min-free-disk", 1024, "least free space on the disk of the data directory, in MiB")
	command.Flags().DurationVar(&e.expiry, "expiry-warning", 14*24*time.Hour, "how long before a certificate or secret expires the check warns")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if e.output != "text" && e.output != "json" {
			return flags.Usagef("--output is %q: choose text or json", e.output)
		}
		e.examine(command.Context(), os.Environ())
		show := e.Print
		if e.output == "json" {
			show = e.PrintJSON
		}
		if err := show(command.OutOrStdout()); err != nil {
			return err
		}
		if failed := e.Count(doctor.Fail); failed > 0 {
			return fmt.Errorf("%d of %d checks failed", failed, len(e.Checks))
		}
		return nil
	}
	return command
}

// examine runs all checks. A failed check does not stop the others.
func (e *examination) examine(ctx context.Context, environ []string) {
	misspelt := flags.Misspelt(environ, knownVariables())
	for _, m := range misspelt {
		e.Add("environment", doctor.Fail, "%s is ignored, because no setting has this name: did you mean %s? Rename or unset it", m.Variable, m.Meant)
	}
	if len(misspelt) == 0 {
		e.Add("environment", doctor.OK, "no variable looks misspelled")
	}
	e.Err("configuration", e.prepare(), "valid, mode "+string(e.wire.Mode))
	e.examineData(ctx)
	e.examineTopics(ctx)
	e.examineListeners(ctx)
	e.examineClients()
	e.examineSources()
}

// embedded reports whether the process uses a broker of its own.
func (e *examination) embedded() bool {
	return e.broker && e.wire.Mode == payments.Kafka && len(e.kafka.Brokers) == 0
}

// examineData checks the data directory and the database.
func (e *examination) examineData(ctx context.Context) {
	if e.data == nil {
		return
	}
	path, err := databaseFile(e.data.URL())
	if err != nil {
		e.Err("database", err, "")
		return
	}
	if path != "" || e.embedded() {
		e.Disk(e.data.Path, int64(e.minFree)<<20)
	}
	if path != "" && !exists(path) {
		e.fresh = true
		e.Add("database", doctor.OK, "%s does not exist yet: the first start creates it", path)
		return
	}
	const openWithin = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	err = withDatabase(ctx, *e.data, func(db database) error {
		e.Add("database", doctor.OK, "%s answers, and its settings keep what it confirms", e.data.Shown())
		before := time.Now()
		found, err := db.Examine(ctx)
		if err != nil {
			return err
		}
		if !found.Clock.IsZero() {
			e.Clock("the database", found.Clock, before, time.Now())
		}
		e.examineSchema(ctx, db, found)
		return nil
	})
	if err != nil {
		e.Err("database", err, "")
	}
}

func (e *examination) examineSchema(ctx context.Context, db database, found store.Examination) {
	if len(found.Lacking) > 0 {
		e.Add("privileges", doctor.Fail, "the user lacks %s: grant them as docs/postgresql.md shows", strings.Join(found.Lacking, ", "))
	} else {
		e.Add("privileges", doctor.OK, "sufficient")
	}
	if e.fresh = found.Empty; e.fresh {
		e.Add("schema", doctor.OK, "the database is empty: the first start, or app migrate up, creates the tables")
		return
	}
	migrations, err := db.Migrations(ctx)
	if err != nil {
		e.Err("schema", err, "")
		return
	}
	pending := 0
	for _, m := range migrations {
		if m.AppliedAt.IsZero() {
			pending++
		}
	}
	if pending > 0 {
		e.Add("schema", doctor.Warn, "%d migrations are pending: the next start applies them, or app migrate up", pending)
		return
	}
	e.Add("schema", doctor.OK, "version %d, that of this release", migrations[len(migrations)-1].Version)
}

// examineTopics checks the topics of a Kafka cluster.
func (e *examination) examineTopics(ctx context.Context) {
	switch {
	case e.wire.Mode != payments.Kafka:
		return
	case e.embedded():
		e.Add("topics", doctor.OK, "the embedded broker creates them")
		return
	case len(e.kafka.Brokers) == 0: // the configuration failed for it
		return
	}
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	reports, err := topics.Check(ctx, e.kafka.ClusterConfig, e.kafka.TopicConfig)
	if err != nil {
		e.Err("topics", err, "")
		return
	}
	for _, r := range reports {
		name := "topic " + r.Name
		problems := r.Problems(e.kafka.CopiesConfig)
		for _, problem := range problems {
			e.Add(name, doctor.Fail, "%s", problem)
		}
		switch {
		case len(problems) > 0:
		case r.Brokers == 1:
			e.Add(name, doctor.Warn, "the cluster has one broker, which keeps the only copy of each record: in production use three, and set KAFKA_MIN_COPIES=2")
		default:
			e.Add(name, doctor.OK, "%d partitions, replication factor %d, min.insync.replicas %d", len(r.Partitions), r.Replicas(), r.MinInSync)
		}
	}
}

// examineListeners checks certificates, tokens and addresses, and whether a process runs with
// the settings.
func (e *examination) examineListeners(ctx context.Context) {
	used := false
	running := doctor.Answers(ctx, e.admin.door.Addr, e.admin.door.TLSCert != "")
	for _, cfg := range append(slices.Clone(e.doors), &e.admin.door) {
		name := cfg.Kind.Name + " listener"
		end, err := door.Inspect(*cfg)
		switch {
		case err != nil:
			e.Err(name, err, "")
		case !end.IsZero():
			e.Expiry(name, "the certificate of "+cfg.Kind.Name+"-tls-cert", end, time.Now(), e.expiry)
		}
		used = e.Address(name, cfg.Kind.Name+"-addr", cfg.Addr, running) || used
	}
	if e.fresh && !used {
		e.Add("process", doctor.Warn, "nothing runs with these settings: give doctor the flags and environment of the server, if it was started before")
	}
}

// examineClients checks the client certificates of the process.
func (e *examination) examineClients() {
	files := map[string]string{"kafka-tls-cert-file": e.kafka.CertFile}
	if e.rpc != nil {
		files["api-cert-file"] = e.rpc.CertFile
	}
	for _, flag := range []string{"api-cert-file", "kafka-tls-cert-file"} {
		if files[flag] == "" {
			continue
		}
		end, err := doctor.CertificateEnd(files[flag])
		if err != nil {
			e.Err("certificate", fmt.Errorf("read %s: %w", flag, err), "")
			continue
		}
		e.Expiry("certificate", "the certificate of "+flag, end, time.Now(), e.expiry)
	}
}

// examineSources checks the sources file, and the expiry of its secrets.
func (e *examination) examineSources() {
	if e.ingest == nil {
		return
	}
	if e.ingest.SourcesFile == "" {
		e.Add("sources", doctor.Warn, "webhooks are not verified, so anyone who reaches the ingest listener can change orders: name a sources file with --sources (SOURCES)")
		return
	}
	set, err := source.Load(e.ingest.SourcesFile, e.ingest.InsecureNoSignature)
	if err != nil {
		e.Err("sources", err, "")
		return
	}
	if unsigned := set.Unsigned(); len(unsigned) > 0 {
		e.Add("sources", doctor.Warn, "the webhooks of %s are not verified: anyone who reaches the ingest listener can change orders: give each source a secret", strings.Join(unsigned, ", "))
	} else {
		e.Add("sources", doctor.OK, "%d sources, all verified", len(set.Names()))
	}
	for _, name := range set.Names() {
		if settings, err := source.Settings(e.ingest.SourcesFile, name); err == nil { // the built-in source is in no file
			e.examineSecrets(name, settings.Secrets, time.Now())
		}
	}
}

// examineSecrets checks the expiry of the secrets of a source. While one is replaced, an
// expired one may be in the file, next to its successor.
func (e *examination) examineSecrets(name string, secrets []provider.Secret, now time.Time) {
	expired := func(s provider.Secret) bool { return !s.NotAfter.IsZero() && !now.Before(s.NotAfter) }
	replaced := slices.ContainsFunc(secrets, func(s provider.Secret) bool { return !expired(s) })
	for i, secret := range secrets {
		what := fmt.Sprintf("secret %d of source %s", i+1, name)
		switch {
		case secret.NotAfter.IsZero():
		case expired(secret) && replaced:
			e.Add("secret", doctor.Warn, "%s expired on %s, but another one is valid: remove the expired one from the sources file", what, secret.NotAfter.UTC().Format(time.RFC3339))
		default:
			e.Expiry("secret", what, secret.NotAfter, now, e.expiry)
		}
	}
}
