package standby

import (
	"context"
	"net"
)

// reach makes the connection that a client is to have, where there is to be one. One that
// can't be made is the next client's to make. It is called by Keep's goroutine, as is
// unreserve.
func (k *keeper) reach(ctx context.Context) {
	if !k.reserves || k.reaching || k.reserve != nil || k.ended != nil {
		return
	}
	k.reaching = true
	go func() {
		var made *idle
		conn, err := k.engine.Dialer()(ctx)
		if err == nil {
			made, err = await(conn, func() { k.hand(k.unreserve) })
		}
		kept := false
		k.hand(func() {
			k.reaching = false
			if kept = err == nil && k.ended == nil; kept {
				k.reserve = made
			}
		})
		switch {
		case made != nil && !kept:
			made.Close()
		case made == nil && conn != nil:
			conn.Close()
		}
	}()
}

// unreserve ends the connection that no client has had.
func (k *keeper) unreserve() {
	if k.reserve != nil {
		k.reserve.Close()
		k.reserve = nil
	}
}

// connect gives a client a connection to the Engine: the one that is there already, or one
// that is made now.
func (k *keeper) connect(ctx context.Context, client *net.UnixConn) {
	var i *idle
	if !k.hand(func() { i, k.reserve = k.reserve, nil }) {
		return
	}
	defer k.hand(func() { k.reach(ctx) })
	if i != nil && !i.release() {
		i.Close()
		i = nil
	}
	if i == nil {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		conn, err := k.engine.Dialer()(ctx)
		if err != nil {
			return
		}
		if i, err = await(conn, func() {}); err != nil {
			conn.Close()
			return
		}
		i.release()
	}
	defer i.Close() // this process's
	_ = pass(client, answer{Version: wireVersion}, i)
}
