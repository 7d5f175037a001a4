package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/edge/lottery"
)

// maxFeedWait bounds an edge's long poll; it stays below requestTimeout.
const maxFeedWait = 10 * time.Second

// edgeID says which edge asks, by the token it got when it enrolled.
func (s *Server) edgeID(r *http.Request) (uuid.UUID, error) {
	return s.Room.Authenticate(r.Context(), r.Header.Get("Fairgate-Edge"))
}

func (s *Server) enroll(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		EdgeID uuid.UUID `json:"edge_id"`
		Boot   uuid.UUID `json:"boot"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if body.EdgeID == uuid.Nil || body.Boot == uuid.Nil {
		return &detailed{errRequest, "edge_id and boot must be random UUIDs."}
	}
	enrolled, err := s.Room.Enroll(r.Context(), body.EdgeID, body.Boot)
	if err != nil {
		return err
	}
	accounts, err := s.accountKeysNow(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Token    string             `json:"edge_token"`
		Filters  lottery.MACKeys    `json:"session_filter_keys"`
		Accounts lottery.PublicKeys `json:"account_keys"`
		Time     timeJSON           `json:"server_time"`
	}{enrolled.Token, enrolled.SessionFilterKeys, accounts, timeJSON(enrolled.ServerTime)})
	return nil
}

func (s *Server) edgeKeys(w http.ResponseWriter, r *http.Request) error {
	edge, err := s.edgeID(r)
	if err != nil {
		return err
	}
	var body struct {
		Event      string        `json:"event"`
		KeyID      uuid.UUID     `json:"key_id"`
		PublicKey  lottery.Hex32 `json:"public_key"`
		ValidFrom  time.Time     `json:"valid_from"`
		ValidUntil time.Time     `json:"valid_until"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	keys, err := s.Room.RegisterKey(r.Context(), edge, body.Event, access.EdgeKey{
		ID: body.KeyID, Public: body.PublicKey[:], ValidFrom: body.ValidFrom, ValidUntil: body.ValidUntil,
	})
	if err != nil {
		return err
	}
	accounts, err := s.accountKeysNow(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Event       string             `json:"event"`
		Generation  uint32             `json:"generation"`
		Identity    string             `json:"identity"`
		Pseudonym   string             `json:"pseudonym_key"`
		Passes      lottery.MACKeys    `json:"pass_keys"`
		Receipts    lottery.PublicKeys `json:"receipt_keys"`
		Invitations lottery.PublicKeys `json:"invitation_keys"`
		Filters     lottery.MACKeys    `json:"session_filter_keys"`
		Accounts    lottery.PublicKeys `json:"account_keys"`
	}{keys.Event, keys.Generation, keys.Identity, hex.EncodeToString(keys.PseudonymKey), keys.PassKeys, keys.ReceiptKeys,
		keys.InvitationKeys, keys.SessionFilterKeys, accounts})
	return nil
}

type joinJSON struct {
	Entrant string `json:"e"`
	Device  string `json:"d"`
	Network string `json:"n"`
	Window  uint32 `json:"w"`
}

type ackJSON struct {
	Window      uint32         `json:"window"`
	Band        lottery.Band   `json:"band"`
	Reason      lottery.Reason `json:"reason"`
	Receipt     string         `json:"receipt"`
	OtherDevice bool           `json:"other_device,omitempty"`
	Refused     string         `json:"refused,omitempty"` // a problem's code
}

func (s *Server) pool(w http.ResponseWriter, r *http.Request) error {
	edge, err := s.edgeID(r)
	if err != nil {
		return err
	}
	var body struct {
		Event      string     `json:"event"`
		Generation uint32     `json:"generation"`
		Entries    []joinJSON `json:"entries"`
		Marker     *struct {
			Window uint32 `json:"window"`
		} `json:"marker"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	request := access.JoinRequest{Edge: edge, Event: body.Event, Generation: body.Generation, Entries: make([]access.Join, len(body.Entries))}
	if body.Marker != nil {
		request.Marker = &body.Marker.Window
	}
	for i, e := range body.Entries {
		j := &request.Entries[i]
		if !fromHex(j.Entrant[:], e.Entrant) || !fromHex(j.Device[:], e.Device) || !fromHex(j.Network[:], e.Network) {
			return &detailed{errRequest, "Entry " + strconv.Itoa(i) + " is not in hex of the right length."}
		}
		j.Window = e.Window
	}
	acks, err := s.Room.JoinBatch(r.Context(), request)
	if err != nil {
		return err
	}
	answers := make([]ackJSON, len(acks))
	for i, a := range acks {
		if a.Refused != nil {
			answers[i].Refused = problemOf(a.Refused).Code
			continue
		}
		answers[i] = ackJSON{Window: a.Window, Band: a.Band, Reason: a.Reason, OtherDevice: a.OtherDevice,
			Receipt: base64.RawURLEncoding.EncodeToString(a.Receipt)}
	}
	writeJSON(w, http.StatusOK, map[string]any{"acks": answers})
	return nil
}

// fromHex fills dst from exactly as many bytes in hex.
func fromHex(dst []byte, text string) bool {
	if len(text) != 2*len(dst) {
		return false
	}
	_, err := hex.Decode(dst, []byte(text))
	return err == nil
}

type stateJSON struct {
	Slug  string `json:"slug"`
	ETag  string `json:"etag"`
	State string `json:"state"` // the state object itself, as text: edges pass it on byte for byte
}

type bansJSON struct {
	Version uint64 `json:"version"`
	Filter  string `json:"filter"`
}

// keyNotice tells an edge that it needs another key in place of this one.
type keyNotice struct {
	Key     uuid.UUID `json:"key_id"`
	Revoked bool      `json:"revoked"`
}

// maxClockAhead bounds what an edge may say of its clock: a machine that has lost the time begins decades ago, and is told apart so.
const maxClockAhead = 100 * 365 * 24 * time.Hour

// feed is an edge's long poll for news, and its heartbeat.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) error {
	edge, err := s.edgeID(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	var since, bansSince, wait uint64
	for name, into := range map[string]*uint64{"since": &since, "bans_since": &bansSince, "wait_ms": &wait} {
		if text := q.Get(name); text != "" {
			if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
				return &detailed{errRequest, name + " must be a whole number."}
			}
		}
	}
	var clock *time.Duration
	if text := q.Get("clock_ahead_ms"); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms > maxClockAhead.Milliseconds() || ms < -maxClockAhead.Milliseconds() {
			return &detailed{errRequest, "clock_ahead_ms must be a whole number, of a hundred years at most."}
		}
		ahead := time.Duration(ms) * time.Millisecond
		clock = &ahead
	}
	limit := min(time.Duration(min(wait, uint64(maxFeedWait/time.Millisecond)))*time.Millisecond, maxFeedWait)
	ctx, cancel := s.untilLeaving(r.Context())
	defer cancel()
	news, err := s.Room.WaitFrom(ctx, edge, clock, since, bansSince, limit)
	if s.leaving() {
		return errLeaving // an answer would be taken for a sign of life
	}
	if err != nil {
		return err
	}
	answer := struct {
		Version    uint64      `json:"version"`
		ServerTime timeJSON    `json:"server_time"`
		Events     []stateJSON `json:"events"`
		Live       []string    `json:"live"`
		Bans       *bansJSON   `json:"bans"`
		Catalog    uint64      `json:"catalog_version"`
		Keys       []keyNotice `json:"keys,omitempty"`
	}{Version: news.Version, ServerTime: timeJSON(news.ServerTime), Events: make([]stateJSON, len(news.Events)), Live: news.Live,
		Catalog: news.Catalog}
	if answer.Live == nil {
		answer.Live = []string{}
	}
	for i, e := range news.Events {
		answer.Events[i] = stateJSON{Slug: e.Slug, ETag: e.ETag, State: string(e.State)}
	}
	for _, k := range news.Keys {
		answer.Keys = append(answer.Keys, keyNotice{k.Key, k.Revoked})
	}
	if news.Bans != nil {
		answer.Bans = &bansJSON{news.Bans.Version, news.Bans.Filter}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

type redeemItem struct {
	Event  string `json:"event"`
	Token  string `json:"token"`
	Device string `json:"device"`

	Account string `json:"account,omitempty"` // the account session of the browser, where the event's identity is an account
	Move    bool   `json:"move,omitempty"`
}

type redeemedJSON struct {
	Session   string   `json:"session"`
	ExpiresAt timeJSON `json:"expires_at"`
}

// redeem exchanges admission tokens for sessions, each judged on its own.
func (s *Server) redeem(w http.ResponseWriter, r *http.Request) error {
	edge, err := s.edgeID(r)
	if err != nil {
		return err
	}
	var body struct {
		Items []redeemItem `json:"items"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	results := make([]batchResult, len(body.Items))
	items := make([]access.Redemption, 0, len(body.Items))
	index := make([]int, 0, len(body.Items))
	for i, item := range body.Items {
		redemption, err := redemptionOf(edge, item)
		if err != nil {
			results[i] = refused(err)
			continue
		}
		items, index = append(items, redemption), append(index, i)
	}
	accounts, err := s.provide(r.Context(), items, body.Items, index)
	if err != nil {
		return err
	}
	redeemed, err := s.Room.Redeem(r.Context(), items)
	if err != nil {
		return err
	}
	if err := s.remember(r.Context(), items, accounts, redeemed); err != nil {
		return err
	}
	for n, answer := range redeemed {
		if answer.Err != nil {
			results[index[n]] = refused(answer.Err)
			continue
		}
		results[index[n]] = batchResult{Status: http.StatusOK, Body: redeemedJSON{
			Session: base64.RawURLEncoding.EncodeToString(answer.Session), ExpiresAt: timeJSON(answer.ExpiresAt),
		}}
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": results})
	return nil
}

func redemptionOf(edge uuid.UUID, item redeemItem) (access.Redemption, error) {
	device, err := deviceOf(item.Device)
	if err != nil {
		return access.Redemption{}, err
	}
	token, err := base64.RawURLEncoding.DecodeString(item.Token)
	if err != nil {
		return access.Redemption{}, access.ErrTokenMalformed
	}
	return access.Redemption{Edge: edge, Event: item.Event, Token: token, Device: device, Move: item.Move}, nil
}

// shopping says whether holds of an event may be made now: a paused or ended on-sale sells nothing, to nobody.
func (s *Server) shopping(ctx context.Context, slug string) error {
	phase, _, err := s.Room.Phase(ctx, slug)
	switch {
	case err != nil:
		return err
	case phase == access.Paused:
		return access.ErrPaused
	case phase == access.Ended:
		return access.ErrEnded
	}
	return nil
}
