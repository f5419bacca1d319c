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

// KafkaVersion is the release that the tests run; kafka.xml names the same.
const KafkaVersion = "4.1.0"

//go:embed kafka.xml
var kafkaPOM []byte

// downloadWithin is for 45 MB from a slow mirror.
const downloadWithin = 10 * time.Minute

// KafkaLibs is the directory of Kafka's libraries in the user's cache. The first
// call has Maven fetch them, about 45 MB, and starts a node once to take the image
// of its classes.
func KafkaLibs(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for Kafka: %w", err)
	}
	libs := filepath.Join(cache, "payrelay", "kafka-"+KafkaVersion)
	if _, err := os.Stat(imageOf(libs)); err == nil {
		return libs, nil
	}
	if err := fetchKafka(ctx, libs); err != nil {
		return "", err
	}
	if err := takeImage(libs); err != nil {
		// Java takes an empty image for none, and nodes start slowly.
		return libs, os.WriteFile(imageOf(libs), nil, 0o644)
	}
	return libs, nil
}

// imageOf is the file that the classes of the libraries are mapped from.
func imageOf(libs string) string { return libs + ".jsa" }

// takeImage runs a node for a moment.
func takeImage(libs string) error {
	dir, err := os.MkdirTemp("", "payrelay-kafka-")
	if err != nil {
		return fmt.Errorf("take the image of Kafka's classes: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory harms nobody
	unfinished := filepath.Join(filepath.Dir(libs), filepath.Base(dir)+".jsa")
	kafka, err := startKafka(libs, dir, 1, nil, "-XX:SharedArchiveFile=", "-XX:ArchiveClassesAtExit="+unfinished)
	if err != nil {
		return fmt.Errorf("take the image of Kafka's classes: %w", err)
	}
	if err := kafka.nodes[0].Stop(); err != nil {
		return err
	}
	if err := os.Rename(unfinished, imageOf(libs)); err != nil {
		return fmt.Errorf("take the image of Kafka's classes: %w", err)
	}
	return nil
}

// fetchKafka leaves all libraries or no directory, however it ends.
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
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the cache harms nobody
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
