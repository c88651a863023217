package nimble

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// request is an action's input on its way to the wire.
type request struct {
	method, path string
	ref          transport.Ref
	token        string
	body         any
	query        [][2]string
	check        error
}

// requestOf says how an input is sent. It refuses what would be sent as
// something else: an empty id, for one, would make another action's path.
func requestOf(in any) request {
	switch in := in.(type) {
	case transport.StartInput:
		// A later model gives Start an optional member: some servers refuse a
		// body that is not at least an empty object.
		return mutation(http.MethodPost, pathSession+"/start", in.Ref, in.ClientToken, struct{}{})
	case transport.StopInput:
		return mutation(http.MethodPost, pathSession+"/stop", in.Ref, in.ClientToken, stopBody{in.VolumeRetentionMode})
	case transport.DeleteInput:
		return mutation(http.MethodDelete, pathSession, in.Ref, in.ClientToken, nil)
	case transport.Ref:
		return request{method: http.MethodGet, path: pathSession, ref: in, check: in.Check()}
	case transport.CreateInput:
		return request{
			method: http.MethodPost, path: pathSessions, ref: transport.Ref{StudioID: in.StudioID}, token: in.ClientToken,
			body:  createBody{in.LaunchProfileID, in.EC2InstanceType, in.OwnedBy, in.StreamingImageID, in.Tags},
			check: errors.Join(transport.CheckID("studio id", in.StudioID), transport.CheckToken(in.ClientToken)),
		}
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

func mutation(method, path string, ref transport.Ref, token string, body any) request {
	return request{method: method, path: path, ref: ref, token: token, body: body,
		check: errors.Join(ref.Check(), transport.CheckToken(token))}
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
			return &transport.Error{Kind: transport.Invalid, NotSent: true, Code: "ValidationException",
				Message: fmt.Sprintf("session id %q: an id with a comma cannot be listed", id)}
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
	c.ref, c.looks = r.ref, r.method == http.MethodGet
	req, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, md, fmt.Errorf("nimble: a request of type %T is not HTTP's", in.Request)
	}
	if in.Request, err = r.encode(req); err != nil {
		return out, md, fmt.Errorf("nimble: encode: %w", err)
	}
	return next.HandleSerialize(ctx, in)
}

func (r request) encode(req *smithyhttp.Request) (*smithyhttp.Request, error) {
	req.Method = r.method
	e, err := httpbinding.NewEncoder(r.path, "", req.Header)
	if err != nil {
		return nil, err
	}
	// The later label first: a studio may be named "{sessionId}".
	if strings.Contains(r.path, "{sessionId}") {
		if err := e.SetURI("sessionId").String(r.ref.SessionID); err != nil {
			return nil, err
		}
	}
	if err := e.SetURI("studioId").String(r.ref.StudioID); err != nil {
		return nil, err
	}
	if r.token != "" {
		e.SetHeader(headerToken).String(r.token)
	}
	for _, kv := range r.query {
		if kv[1] != "" {
			e.SetQuery(kv[0]).String(kv[1])
		}
	}
	if r.body != nil {
		e.SetHeader("Content-Type").String("application/json")
	}
	if req.Request, err = e.Encode(req.Request); err != nil || r.body == nil {
		return req, err
	}
	body, err := json.Marshal(r.body)
	if err != nil {
		return nil, err
	}
	return req.SetStream(bytes.NewReader(body))
}
