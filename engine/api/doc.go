// Package api serves an engine as a JSON API over HTTP, and is the client of it.
package api
