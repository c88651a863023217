// Package hypervisor starts a real hypervisor for a test: a libvirtd of its own, and machines that
// it emulates. It works on Linux. On other systems the package is empty.
package hypervisor
