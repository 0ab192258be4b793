package p2http

import (
	"context"
	"errors"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
)

// Host is wasi:http/types.
type Host struct {
	// Book counts what guests make; nil does not.
	Book *quota.Book
}

// HTTPErrorCode is the function http-error-code.
func (Host) HTTPErrorCode(_ context.Context, e bind.Error) (bind.HTTPErrorCode, error) {
	if c, ok := errors.AsType[codedError](p2.Unwrap(e)); ok {
		return c.code, nil
	}
	return nil, nil
}

// NewFields is the constructor of fields.
func (h Host) NewFields(ctx context.Context) (bind.Fields, error) { return newFields(ctx, h.Book) }

// FieldsFromList is the function from-list of fields.
func (h Host) FieldsFromList(ctx context.Context, list []bind.Tuple2[string, []byte]) (bind.Fields, error) {
	f, err := newFields(ctx, h.Book)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if err := f.Append(ctx, e.F0, e.F1); err != nil {
			f.hold.Give()
			return nil, err
		}
	}
	return f, nil
}

// NewOutgoingRequest is the constructor of outgoing-request.
func (h Host) NewOutgoingRequest(ctx context.Context, headers bind.Headers) (bind.OutgoingRequest, error) {
	r := &outgoingRequest{method: bind.MethodGet{}, header: headers.(*fields), book: h.Book}
	if err := h.Book.Open(ctx, &r.hold, quota.Fields, messageOverhead); err != nil {
		return nil, err
	}
	return r, nil
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
func (h Host) NewOutgoingResponse(ctx context.Context, headers bind.Headers) (bind.OutgoingResponse, error) {
	r := &outgoingResponse{status: 200, header: headers.(*fields), book: h.Book}
	if err := h.Book.Open(ctx, &r.hold, quota.Fields, messageOverhead); err != nil {
		return nil, err
	}
	return r, nil
}

// OutgoingBodyFinish is the function finish of outgoing-body.
func (Host) OutgoingBodyFinish(_ context.Context, b bind.OutgoingBody, trailers bind.Trailers) error {
	var t *fields
	if trailers != nil {
		t = trailers.(*fields)
	}
	return b.(*outgoingBody).finish(t)
}
