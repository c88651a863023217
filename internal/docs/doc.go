// Package docs holds the tests that compare README.md and the pages in docs/
// with the code: links, file names, tests and identifiers that they name.
package docs
