//go:build !linux

package report

func (m *Machine) readProc() {}
