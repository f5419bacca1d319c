package servers

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// KafkaVersion is the release that the tests use. kafka.xml must have the same.
const KafkaVersion = "4.1.0"

//go:embed kafka.xml
var kafkaPOM []byte

// downloadWithin allows for 45 MB from a slow mirror.
const downloadWithin = 10 * time.Minute

// KafkaLibs returns the directory of Kafka's libraries in the cache of the user. The
// first call fetches them with Maven, about 45 MB, and runs a node once to make an
// archive of its classes.
func KafkaLibs(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache for Kafka: %w", err)
	}
	libs := filepath.Join(cache, "payrelay", "kafka-"+KafkaVersion)
	if _, err := os.Stat(archiveOf(libs)); err == nil {
		return libs, nil
	}
	if err := fetchKafka(ctx, libs); err != nil {
		return "", err
	}
	if err := archiveClasses(libs); err != nil {
		// The JVM ignores an empty archive, and nodes start slowly.
		return libs, os.WriteFile(archiveOf(libs), nil, 0o644)
	}
	return libs, nil
}

// archiveOf returns the file of the archived classes of the libraries.
func archiveOf(libs string) string { return libs + ".jsa" }

// archiveClasses runs a node, which writes the archive when it stops.
func archiveClasses(libs string) error {
	dir, err := os.MkdirTemp("", "payrelay-kafka-")
	if err != nil {
		return fmt.Errorf("archive the classes of Kafka: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory does no harm
	unfinished := filepath.Join(filepath.Dir(libs), filepath.Base(dir)+".jsa")
	kafka, err := startKafka(libs, dir, 1, nil, "-XX:SharedArchiveFile=", "-XX:ArchiveClassesAtExit="+unfinished)
	if err != nil {
		return fmt.Errorf("archive the classes of Kafka: %w", err)
	}
	if err := kafka.nodes[0].Stop(); err != nil {
		return err
	}
	if err := os.Rename(unfinished, archiveOf(libs)); err != nil {
		return fmt.Errorf("archive the classes of Kafka: %w", err)
	}
	return nil
}

// fetchKafka makes the directory with all libraries, or none if it fails.
func fetchKafka(ctx context.Context, libs string) error {
	maven, err := program("mvn", "", "install Maven (Debian's package maven), which fetches Kafka")
	if err != nil {
		return err
	}
	if _, err := os.Stat(libs); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(libs), 0o755); err != nil {
		return fmt.Errorf("fetch Kafka: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(libs), "fetching-")
	if err != nil {
		return fmt.Errorf("fetch Kafka: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the cache does no harm
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), kafkaPOM, 0o644); err != nil {
		return fmt.Errorf("fetch Kafka: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, downloadWithin)
	defer cancel()
	command := exec.CommandContext(ctx, maven, "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(dir, "libs"))
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Kafka %s with Maven: %w: %s", KafkaVersion, err, out)
	}
	if err := os.Rename(filepath.Join(dir, "libs"), libs); err != nil {
		if _, there := os.Stat(libs); there == nil {
			return nil // another process was first
		}
		return fmt.Errorf("fetch Kafka: %w", err)
	}
	return nil
}
