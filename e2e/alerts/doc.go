// Package alerts tests the alerting rules and the dashboards in deploy.
//
// The first half of its tests reads files: every rule is valid, has a runbook section and
// unit tests, and names metrics and labels that the running program exposes. The other half
// runs the program, causes the fault that an alert is about, and evaluates the rules on the
// recorded metrics with Prometheus' own engine.
//
// It is a separate module, so that Prometheus is not a dependency of the rest of the
// project.
package alerts
