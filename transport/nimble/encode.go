package nimble

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	pathSessions = "/" + apiVersion + "/studios/{studioId}/streaming-sessions"
	pathSession  = pathSessions + "/{sessionId}"
)

// request is an action's input in the form in which it is sent.
type request struct {
	method, path string
	ref          transport.Ref
	token        string
	body         []byte // JSON, or nil without a body
	query        [][2]string
	check        error
}

// requestOf returns how an input is sent. Its check refuses an input that would be sent
// as another one. For example, an empty id would make another action's path.
func requestOf(in any) request {
	switch in := in.(type) {
	case transport.StartInput:
		// A later version of the API gives Start an optional member. Some servers
		// refuse a body that is not at least an empty object.
		return mutation(http.MethodPost, pathSession+"/start", in.Ref, in.ClientToken).with(struct{}{})
	case transport.StopInput:
		return mutation(http.MethodPost, pathSession+"/stop", in.Ref, in.ClientToken).with(stopBody{in.VolumeRetentionMode})
	case DeleteInput:
		return mutation(http.MethodDelete, pathSession, in.Ref, in.ClientToken)
	case transport.Ref:
		return request{method: http.MethodGet, path: pathSession, ref: in, check: in.Validate()}
	case CreateInput:
		return request{
			method: http.MethodPost, path: pathSessions, ref: transport.Ref{StudioID: in.StudioID}, token: in.ClientToken,
			check: errors.Join(transport.CheckID("studio id", in.StudioID), transport.CheckToken(in.ClientToken)),
		}.with(createBody{in.LaunchProfileID, in.EC2InstanceType, in.OwnedBy, in.StreamingImageID, in.Tags})
	case transport.ListInput:
		return request{
			method: http.MethodGet, path: pathSessions, ref: transport.Ref{StudioID: in.StudioID},
			query: [][2]string{
				{"createdBy", in.CreatedBy}, {"ownedBy", in.OwnedBy},
				{"nextToken", in.NextToken}, {"sessionIds", strings.Join(in.SessionIDs, ",")},
			},
			check: checkList(in),
		}
	}
	return request{check: fmt.Errorf("nimble: an input of type %T is not known", in)}
}

func mutation(method, path string, ref transport.Ref, token string) request {
	return request{method: method, path: path, ref: ref, token: token,
		check: errors.Join(ref.Validate(), transport.CheckToken(token))}
}

// with returns r with a body.
func (r request) with(body any) request {
	text, err := json.Marshal(body)
	r.body, r.check = text, errors.Join(r.check, err)
	return r
}

func checkList(in transport.ListInput) error {
	if err := transport.CheckID("studio id", in.StudioID); err != nil {
		return err
	}
	for _, id := range in.SessionIDs {
		if err := transport.CheckID("session id", id); err != nil {
			return err
		}
		if strings.Contains(id, ",") {
			return transport.Invalid("session id %q: an id with a comma cannot be listed", id)
		}
	}
	return nil
}

// serialize writes the input into the HTTP request.
func (c *call) serialize(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (
	out middleware.SerializeOutput, md middleware.Metadata, err error,
) {
	r := requestOf(in.Parameters)
	if r.check != nil {
		return out, md, r.check
	}
	_, c.list = in.Parameters.(transport.ListInput)
	c.ref, c.reads = r.ref, r.method == http.MethodGet
	if in.Request, err = r.encode(in.Request); err != nil {
		return out, md, fmt.Errorf("nimble: encode: %w", err)
	}
	return next.HandleSerialize(ctx, in)
}

// encode writes r into the stack's request, and returns that with its body.
func (r request) encode(in any) (any, error) {
	req, ok := in.(*smithyhttp.Request)
	if !ok {
		return nil, fmt.Errorf("a request of type %T is not HTTP's", in)
	}
	req.Method = r.method
	req.URL.Path, req.URL.RawPath = r.fill(r.ref), r.fill(transport.Ref{
		StudioID: httpbinding.EscapePath(r.ref.StudioID, true), SessionID: httpbinding.EscapePath(r.ref.SessionID, true),
	})
	if r.token != "" {
		req.Header.Set(headerToken, r.token)
	}
	query := url.Values{}
	for _, kv := range r.query {
		if kv[1] != "" {
			query.Set(kv[0], kv[1])
		}
	}
	req.URL.RawQuery = query.Encode()
	if r.body == nil {
		return req, nil
	}
	req.Header.Set("Content-Type", "application/json")
	return req.SetStream(bytes.NewReader(r.body))
}

// fill puts both ids into the path in one pass, because a studio may be named
// "{sessionId}".
func (r request) fill(ref transport.Ref) string {
	return strings.NewReplacer("{studioId}", ref.StudioID, "{sessionId}", ref.SessionID).Replace(r.path)
}
