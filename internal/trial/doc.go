// Package trial has the trials that take rouse to the systems of its users: a
// farm of real Slurm, and a fleet behind moto's EC2. A trial takes minutes, so it
// runs where ROUSE_TEST is long (.ci/long), and logs the figures that it measured.
package trial
