// Package hypervisor is a real one for tests: a libvirtd of a test's own, and
// machines that it emulates. It is for Linux; elsewhere the package is empty.
package hypervisor
