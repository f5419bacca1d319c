// The workloads of app bench, for k6. It sends to a running deployment, and is
// configured by environment variables:
//
//   INGEST       URL of the ingest listener                http://127.0.0.1:3001
//   WORKLOAD     orders, disputes, mix, hot or provider    orders
//   BODY_BYTES   size of each body; the workload           400
//                provider has its own sizes
//   CONNECTIONS  number of virtual users                   64
//   RATE         webhooks per second; without it each user sends the next webhook
//                when the last one is answered
//   DURATION     duration of the load                      10s
//   P99_MS       largest 99th percentile in ms             250
//   SUMMARY      file for the figures as JSON
//
// With RATE, k6 measures the latency from the sending of a webhook, and counts a
// webhook for which no user was free as a dropped iteration. app bench measures the
// latency from the time at which the webhook was due, so that a stall counts in full.
// The latency of k6 is "answer" in the JSON of app bench.
import http from 'k6/http';
import exec from 'k6/execution';

const ingest = __ENV.INGEST || 'http://127.0.0.1:3001';
const workload = __ENV.WORKLOAD || 'orders';
const bodyBytes = Number(__ENV.BODY_BYTES || 400);
const connections = Number(__ENV.CONNECTIONS || 64);
const rate = Number(__ENV.RATE || 0);
const duration = __ENV.DURATION || '10s';

const sending = rate > 0
  ? { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration, preAllocatedVUs: connections, maxVUs: connections }
  : { executor: 'constant-vus', vus: connections, duration };

export const options = {
  scenarios: { webhooks: { ...sending, gracefulStop: '15s' } },
  discardResponseBodies: true,
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'p(99.9)', 'max', 'count'],
  thresholds: {
    http_req_failed: ['rate==0'],
    http_req_duration: [`p(99)<${__ENV.P99_MS || 250}`],
    ...(rate > 0 ? { dropped_iterations: ['count==0'] } : {}),
  },
};

http.setResponseCallback(http.expectedStatuses(200, 202));

// A fact is the content of one webhook about an order or its dispute.
const order = (status) => ({ status });
const dispute = (status, resolution) => ({ status, resolution, dispute: true });

const ordersLives = ['success', 'failed'].map((end) =>
  [order('created'), order('updated'), order('updated'), order(end)]);

const mixed = {
  lives: [['success', 'won'], ['failed', 'lost']].map(([end, resolution]) => [
    order('created'), order('updated'), dispute('opened'), order('updated'), dispute('updated'), order('updated'),
    order(end), dispute('submitted'), dispute('closed', resolution)]),
  // One webhook in ten is a duplicate, and one order in five is sent out of order.
  sequence: [0, 1, 2, 3, 4, 3, 5, 6, 7, 8],
  shuffled: [0, 3, 2, 1, 4, 3, 6, 5, 7, 8],
};

const workloads = {
  orders: { lives: ordersLives },
  hot: { lives: ordersLives },
  disputes: {
    lives: ['won', 'lost'].map((end) =>
      [dispute('opened'), dispute('updated'), dispute('submitted'), dispute('closed', end)]),
  },
  mix: mixed,
  provider: mixed,
};

const { lives, sequence = lives[0].map((_, place) => place), shuffled = sequence } = workloads[workload];

// The events of the workload provider are those of app bench, by family and subject.
const families = ['intent', 'notification', 'resource'];
const events = {};
if (workload === 'provider') {
  for (const family of families) {
    for (const subject of ['order', 'payment', 'dispute']) {
      const text = open(`../../modules/bench/load/events/${family}-${subject}.json`);
      events[`${family}-${subject}`] = JSON.stringify(JSON.parse(text));
    }
  }
}

function eventOf(p) {
  const settled = p.fact.status === 'success' || p.fact.status === 'failed';
  const subject = p.fact.dispute ? 'dispute' : settled ? 'payment' : 'order';
  return events[`${families[p.number % families.length]}-${subject}`];
}

// interleaved is the number of orders that are sent in turn: more than there are
// users, so that no two webhooks of one order are in flight at the same time.
const interleaved = 4096;
const hotEvery = 10;

// place returns the order and the fact of the n-th webhook.
function place(n) {
  if (workload === 'hot') {
    if (n % hotEvery === 0) return { number: -1, at: n / hotEvery, fact: order('updated') };
    n -= Math.floor(n / hotEvery) + 1;
  }
  const lane = n % interleaved;
  const step = Math.floor(n / interleaved) + lane;
  const number = Math.floor(step / sequence.length) * interleaved + lane;
  const at = (number % 5 === 4 ? shuffled : sequence)[step % sequence.length];
  return { number, at, fact: lives[number % 2][at] };
}

// setup returns a name for the run, so that runs can share a database.
export function setup() {
  const start = Date.now() - 3600_000;
  return { run: start.toString(36), start };
}

// scatter returns IDs that are spread over an index like random ones, and unique.
const scatter = (n) => (Math.imul(n, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0') + n.toString(36);

// time returns the time of a fact: a second after the one before it, or a millisecond
// for the hot order.
const time = (start, p) => new Date(start + p.at * (p.number < 0 ? 1 : 1000)).toISOString();

function body({ run, start }, p) {
  const id = scatter(p.number);
  const head = {
    provider_event_id: `evt-${run}-${id}-${p.at}`, order_id: `order-${run}-${id}`, user_id: `user-${Math.abs(p.number) % 1000}`,
    status: p.fact.status,
  };
  const what = p.fact.dispute
    ? { reason: 'fraud', amount: '100.50', currency: 'USD', occurred_at: time(start, p), meta: { resolution: p.fact.resolution || '' } }
    : { created_at: new Date(start).toISOString(), updated_at: time(start, p), meta: { amount: '100.50', currency: 'USD' } };
  const text = JSON.stringify({ ...head, ...what }).slice(0, -1);
  if (workload !== 'provider') return pad(text);
  const values = { event: head.provider_event_id, order: head.order_id, time: time(start, p) };
  return `${text},"event":${eventOf(p).replace(/\$(event|order|time)/g, (_, name) => values[name])}}`;
}

const item = ',{"sku":"sku-0000","name":"A seat in row 00","quantity":2,"price":"10.05","vat":7}';
const note = 'It comes as it was ordered, and it was ordered as it comes, in one piece and on one day, with all that belongs to it.';

// pad completes a body of bodyBytes bytes.
function pad(text) {
  const count = Math.floor((bodyBytes - text.length - 25) / item.length);
  if (count > 0) text += `,"items":[${item.repeat(count).slice(1)}]`;
  text += ',"note":"';
  return `${text}${note.slice(0, Math.max(0, bodyBytes - text.length - 2))}"}`;
}

const headers = { 'Content-Type': 'application/json' };

export default function (run) {
  const p = place(exec.scenario.iterationInTest);
  const path = p.fact.dispute ? 'chargebacks' : 'orders';
  http.post(`${ingest}/webhooks/payments/${path}`, body(run, p), { headers, tags: { name: path } });
}

export function handleSummary(data) {
  const m = data.metrics;
  const latency = m.http_req_duration.values;
  const figures = {
    accepted_per_second: m.http_reqs.values.rate * (1 - m.http_req_failed.values.rate),
    accepted: Math.round(m.http_reqs.values.count * (1 - m.http_req_failed.values.rate)),
    failed: m.http_req_failed.values.passes,
    dropped: m.dropped_iterations ? m.dropped_iterations.values.count : 0,
    p50_ms: latency.med, p95_ms: latency['p(95)'], p99_ms: latency['p(99)'], p999_ms: latency['p(99.9)'], max_ms: latency.max,
  };
  const lines = Object.entries(figures).map(([name, value]) => `${name.padEnd(20)} ${Math.round(value * 100) / 100}`);
  const failed = Object.entries(m).filter(([, metric]) => Object.values(metric.thresholds || {}).some((t) => !t.ok)).map(([name]) => name);
  if (failed.length > 0) lines.push(`thresholds broken: ${failed.join(', ')}`);
  return { stdout: `${lines.join('\n')}\n`, ...(__ENV.SUMMARY ? { [__ENV.SUMMARY]: JSON.stringify(figures) } : {}) };
}
