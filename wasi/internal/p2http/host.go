package p2http

import (
	"context"
	"errors"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2"
)

// Host is wasi:http/types.
type Host struct{}

// HTTPErrorCode is the function http-error-code.
func (Host) HTTPErrorCode(_ context.Context, e bind.Error) (bind.HTTPErrorCode, error) {
	if c, ok := errors.AsType[codedError](p2.Unwrap(e)); ok {
		return c.code, nil
	}
	return nil, nil
}

// NewFields is the constructor of fields.
func (Host) NewFields(context.Context) (bind.Fields, error) { return &fields{}, nil }

// FieldsFromList is the function from-list of fields.
func (Host) FieldsFromList(ctx context.Context, list []bind.Tuple2[string, []byte]) (bind.Fields, error) {
	f := &fields{}
	for _, e := range list {
		if err := f.Append(ctx, e.F0, e.F1); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// NewOutgoingRequest is the constructor of outgoing-request.
func (Host) NewOutgoingRequest(_ context.Context, h bind.Headers) (bind.OutgoingRequest, error) {
	return &outgoingRequest{method: bind.MethodGet{}, header: h.(*fields).frozen()}, nil
}

// NewRequestOptions is the constructor of request-options.
func (Host) NewRequestOptions(context.Context) (bind.RequestOptions, error) {
	return &requestOptions{}, nil
}

// ResponseOutparamSet is the function set of response-outparam.
func (Host) ResponseOutparamSet(_ context.Context, param bind.ResponseOutparam, response abi.Result[bind.OutgoingResponse, bind.HTTPErrorCode]) error {
	p := param.(*outparam)
	if response.IsErr {
		p.refuse(response.Err)
		return nil
	}
	p.respond(response.Ok.(*outgoingResponse))
	return nil
}

// IncomingBodyFinish is the function finish of incoming-body.
func (Host) IncomingBodyFinish(_ context.Context, b bind.IncomingBody) (bind.FutureTrailers, error) {
	return b.(*incomingBody).finish(), nil
}

// NewOutgoingResponse is the constructor of outgoing-response.
func (Host) NewOutgoingResponse(_ context.Context, h bind.Headers) (bind.OutgoingResponse, error) {
	return &outgoingResponse{status: 200, header: h.(*fields).frozen()}, nil
}

// OutgoingBodyFinish is the function finish of outgoing-body.
func (Host) OutgoingBodyFinish(_ context.Context, b bind.OutgoingBody, trailers bind.Trailers) error {
	var t *fields
	if trailers != nil {
		t = trailers.(*fields)
	}
	return b.(*outgoingBody).finish(t)
}
