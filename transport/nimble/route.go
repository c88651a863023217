package nimble

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/transport"
)

// route is the action that a method and a path ask for.
type route struct {
	action action
	ref    transport.Ref // SessionID is empty if the path has none
}

// routeOf returns the action of a path as the client sent it. It cuts the path at its
// slashes before it unescapes anything, so an escaped slash in an id cannot lead to
// another action.
func routeOf(method, escapedPath string) (route, error) {
	parts := strings.Split(escapedPath, "/")
	if len(parts) < 5 || len(parts) > 7 || parts[0] != "" || parts[1] != apiVersion ||
		parts[2] != "studios" || parts[4] != "streaming-sessions" {
		return route{}, noSuchPath()
	}
	methods := actions[len(parts)-5]
	if len(parts) == 7 {
		if parts[6] != "start" && parts[6] != "stop" {
			return route{}, noSuchPath()
		}
		methods = actions[2]
		if parts[6] == "stop" {
			methods = actions[3]
		}
	}
	do, ok := methods[method]
	if !ok {
		return route{}, &refusal{status: http.StatusMethodNotAllowed, code: "MethodNotAllowedException",
			message: "the path does not take this method", allow: allow(methods)}
	}
	rt := route{action: do}
	var err error
	if rt.ref.StudioID, err = label("studio id", parts[3]); err != nil {
		return route{}, err
	}
	if len(parts) > 5 {
		rt.ref.SessionID, err = label("session id", parts[5])
	}
	return rt, err
}

// wirePath returns u's path as the client sent it. If that has a byte that no path may
// have, net/url escapes the whole path again, and a "%2F" in it becomes a slash. WirePath
// refuses such a path.
func wirePath(u *url.URL) (string, error) {
	path := u.EscapedPath()
	if u.RawPath != "" && u.RawPath != path {
		return "", invalid("the path is not correctly escaped")
	}
	return path, nil
}

// label unescapes and checks one segment.
func label(what, segment string) (string, error) {
	id, err := url.PathUnescape(segment)
	if err != nil {
		return "", invalid("the path's " + what + " is not correctly escaped")
	}
	return id, transport.CheckID(what, id)
}

// actions has the methods of each path: the studio's sessions, a session, its start, its
// stop.
var actions = [4]map[string]action{
	{http.MethodGet: list, http.MethodPost: create},
	{http.MethodGet: get, http.MethodDelete: remove},
	{http.MethodPost: start},
	{http.MethodPost: stop},
}

// allow returns the methods of a path, for the answer 405.
func allow(methods map[string]action) string {
	return strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
}
