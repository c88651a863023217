// Package systemd has no code. Its folder holds the units that run rouse as a service, and
// its tests check them with systemd's own tools.
package systemd
