package nimble

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/transport"
)

// maxQuery keeps a request's URL, with the endpoint and the path, below the 8 KiB that
// proxies commonly allow.
const maxQuery = 6 << 10

// BatchGet reads refs by ListStreamingSessions, with one request if their ids fit in a
// URL. A session that a complete list leaves out is KindNotFound. If the provider refuses
// the list, or its answer cannot be read, BatchGet reads each of its sessions once by a
// call of its own. One bad member then does not hide the others. If all results are the
// same error, BatchGet returns that error.
func (c *Client) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	if err := atMost(len(refs)); err != nil {
		return nil, err
	}
	out := make([]transport.Result, len(refs))
	lists, singles := split(refs, out)
	r := paging.New("ListStreamingSessions", paging.GetCalls)
	for _, list := range lists {
		if !c.listed(ctx, r, refs, list, out) {
			singles = append(singles, list...)
		}
	}
	c.singly(ctx, refs, singles, out)
	if err := callError(out); err != nil {
		return nil, err
	}
	return out, nil
}

// atMost returns an error for more sessions than one call takes.
func atMost(sessions int) error {
	if sessions <= maxBatch {
		return nil
	}
	return transport.Invalid("%d sessions at once: at most %d are allowed", sessions, maxBatch)
}

// split sorts the refs by how they are read: in lists, by studio and as many as fit in a
// URL, or one by one. An invalid ref has its result at once.
func split(refs []transport.Ref, out []transport.Result) (lists [][]int, singles []int) {
	type list struct{ at, size int }
	current := map[string]list{} // the refs of each studio
	for i, ref := range refs {
		if err := ref.Validate(); err != nil {
			out[i].Err = err
			continue
		}
		if strings.Contains(ref.SessionID, ",") {
			singles = append(singles, i)
			continue
		}
		size := 3 * (len(ref.SessionID) + 1) // the length if every byte needs an escape
		l, ok := current[ref.StudioID]
		if !ok || l.size+size > maxQuery {
			l = list{at: len(lists)}
			lists = append(lists, nil)
		}
		l.size += size
		current[ref.StudioID] = l
		lists[l.at] = append(lists[l.at], i)
	}
	return lists, singles
}

// listed fills in the results of part, whose refs are in one studio. It reports whether
// it could. If not, the refs must be read one by one.
func (c *Client) listed(ctx context.Context, r *paging.Reader, refs []transport.Ref, part []int, out []transport.Result) bool {
	if len(part) == 1 {
		return false
	}
	in := transport.ListInput{StudioID: refs[part[0]].StudioID}
	for _, i := range part {
		in.SessionIDs = append(in.SessionIDs, refs[i].SessionID)
	}
	found, err := c.pages(ctx, r, in)
	if wholeRefused(err) {
		return false
	}
	for _, i := range part {
		s, ok := found[refs[i].SessionID]
		switch {
		case ok:
			out[i].Session = s
		case err != nil:
			out[i].Err = err
		default:
			out[i].Err = leftOut(refs[i])
		}
	}
	return true
}

// pages reads a list to its end, and returns those of its sessions that in names.
func (c *Client) pages(ctx context.Context, r *paging.Reader, in transport.ListInput) (map[string]transport.Session, error) {
	found := map[string]transport.Session{}
	for more := true; more; {
		var err error
		more, err = r.Page(ctx, func(ctx context.Context) (string, int64, error) {
			call := &call{client: c}
			page, err := result[transport.ListOutput](call.invoke(ctx, "ListStreamingSessions", in))
			for _, s := range page.Sessions {
				if slices.Contains(in.SessionIDs, s.SessionID) {
					found[s.SessionID] = s
				}
			}
			in.NextToken = page.NextToken
			return page.NextToken, call.body.Size(), err
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// wholeRefused reports whether one member may have caused err.
func wholeRefused(err error) bool {
	var e *transport.Error
	if !errors.As(err, &e) {
		return false
	}
	if errors.Is(err, paging.ErrEndless) {
		return true
	}
	switch e.Kind {
	case transport.KindInvalid, transport.KindNotFound, transport.KindAccessDenied:
		return true
	case transport.KindUnknown:
		return e.HTTPStatusCode == http.StatusOK
	}
	return false
}

// singly reads each ref of part by a call of its own. It stops when the provider cannot
// be reached or throttles.
func (c *Client) singly(ctx context.Context, refs []transport.Ref, part []int, out []transport.Result) {
	var stop error
	for _, i := range part {
		if stop != nil {
			out[i].Err = stop
			continue
		}
		out[i].Session, out[i].Err = c.Get(ctx, refs[i])
		if err := out[i].Err; err != nil && (ctx.Err() != nil || errors.Is(err, transport.KindThrottled) ||
			errors.Is(err, transport.KindUnreachable) || errors.Is(err, transport.KindCredentials)) {
			stop = err
		}
	}
}

// callError returns the error that all results share, or nil if they differ.
func callError(out []transport.Result) error {
	for _, r := range out {
		if r.Err == nil || !errors.Is(r.Err, out[0].Err) {
			return nil
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out[0].Err
}

func leftOut(ref transport.Ref) error {
	return &transport.Error{Kind: transport.KindNotFound, Code: "ResourceNotFoundException",
		HTTPStatusCode: http.StatusOK,
		Message:        fmt.Sprintf("session %q is not among the studio's", ref),
		Context:        map[string]string{"resourceId": ref.SessionID}}
}
