-- by number
SELECT 1 AS root, k1.key_no AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CASE WHEN (c1.customer_id = n1.customer_id) THEN n1.holding_id END, c1.cluster[1], c1.cluster_since, CASE WHEN (c1.cluster IS NOT NULL) THEN array((SELECT row(o1.customer_id, o1.state, o1.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n1.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor, CASE WHEN (consent_event.holding_id IS NOT NULL AND consent_event.type IN ('GIVEN', 'RENEWED', 'CONFIRMED')) THEN consent_event.consent_event_id END) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n1.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n1.number_tag AND mine.customer_id = n1.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n1.number_tag AND spoke.customer_id = n1.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n1.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o1.customer_id))) AS row_1 
FROM customer AS o1 
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n1.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor, CASE WHEN (consent_event.holding_id IS NOT NULL AND consent_event.type IN ('GIVEN', 'RENEWED', 'CONFIRMED')) THEN consent_event.consent_event_id END) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n1.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n1.number_tag AND mine.customer_id = n1.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n1.number_tag AND spoke.customer_id = n1.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n1.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND (data_key.retention = 'IDENTITY' OR data_key.retention = 'SERVICE'))) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT l1_13.made 
FROM LATERAL (SELECT t1_3.customer_id AS customer_id, t1_3.product_id AS product_id, t1_3.product_ref AS product_ref, t1_3.name AS name, t1_3.kind AS kind, t1_3.region AS region, t1_3.tariff_id AS tariff_id, t1_3.start_on AS start_on, t1_3.term_end_on AS term_end_on, t1_3.described_at AS described_at, t1_3.status AS status, t1_3.status_reason AS status_reason, t1_3.status_at AS status_at 
FROM product AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.product_ref COLLATE "C" ASC, t1_3.product_id ASC 
 LIMIT $1::INTEGER) AS b1_4 JOIN LATERAL (SELECT t1_7.customer_id AS customer_id, t1_7.product_id AS product_id, t1_7.product_ref AS product_ref, t1_7.name AS name, t1_7.kind AS kind, t1_7.region AS region, t1_7.tariff_id AS tariff_id, t1_7.start_on AS start_on, t1_7.term_end_on AS term_end_on, t1_7.described_at AS described_at, t1_7.status AS status, t1_7.status_reason AS status_reason, t1_7.status_at AS status_at 
FROM product AS t1_7 
WHERE t1_7.customer_id = c1.customer_id AND t1_7.product_id IN (SELECT product_reliance.relies_on_id 
FROM product_reliance 
WHERE product_reliance.customer_id = c1.customer_id AND product_reliance.product_id = b1_4.product_id) ORDER BY t1_7.product_ref COLLATE "C" ASC, t1_7.product_id ASC 
 LIMIT $2::INTEGER) AS b1_8 ON true JOIN LATERAL (SELECT row(b1_8.product_id, t1_11.product_ref, t1_11.product_id) AS made 
FROM product AS t1_11 
WHERE t1_11.customer_id = c1.customer_id AND t1_11.product_id IN (SELECT product_reliance.relies_on_id 
FROM product_reliance 
WHERE product_reliance.customer_id = c1.customer_id AND product_reliance.product_id = b1_8.product_id) ORDER BY t1_11.product_ref COLLATE "C" ASC, t1_11.product_id ASC 
 LIMIT $3::INTEGER) AS l1_13 ON true)) AS list0, array((SELECT l1_14.made 
FROM LATERAL (SELECT t1_3.customer_id AS customer_id, t1_3.product_id AS product_id, t1_3.product_ref AS product_ref, t1_3.name AS name, t1_3.kind AS kind, t1_3.region AS region, t1_3.tariff_id AS tariff_id, t1_3.start_on AS start_on, t1_3.term_end_on AS term_end_on, t1_3.described_at AS described_at, t1_3.status AS status, t1_3.status_reason AS status_reason, t1_3.status_at AS status_at 
FROM product AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.product_ref COLLATE "C" ASC, t1_3.product_id ASC 
 LIMIT $1::INTEGER) AS b1_4 JOIN LATERAL (SELECT row(b1_4.product_id, t1_7.product_ref, t1_7.product_id) AS made 
FROM product AS t1_7 
WHERE t1_7.customer_id = c1.customer_id AND t1_7.product_id IN (SELECT product_reliance.relies_on_id 
FROM product_reliance 
WHERE product_reliance.customer_id = c1.customer_id AND product_reliance.product_id = b1_4.product_id) ORDER BY t1_7.product_ref COLLATE "C" ASC, t1_7.product_id ASC 
 LIMIT $2::INTEGER) AS l1_14 ON true)) AS list1, array((SELECT row(t1_3.product_ref, t1_3.product_id, t1_3.status) AS made 
FROM product AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.product_ref COLLATE "C" ASC, t1_3.product_id ASC 
 LIMIT $1::INTEGER)) AS list2, array((SELECT l1_26.made 
FROM LATERAL (SELECT t1_18.customer_id AS customer_id, t1_18.bill_id AS bill_id, t1_18.bill_no AS bill_no, t1_18.account_id AS account_id, t1_18.region AS region, t1_18.bill_on AS bill_on, t1_18.period_start_on AS period_start_on, t1_18.period_end_on AS period_end_on, t1_18.amount_due_minor AS amount_due_minor, t1_18.currency AS currency, t1_18.issued_at AS issued_at, t1_18.paid_minor AS paid_minor, t1_18.statement_id AS statement_id, t1_18.stated_at AS stated_at 
FROM bill AS t1_18 
WHERE t1_18.customer_id = c1.customer_id ORDER BY t1_18.bill_on DESC, t1_18.bill_id ASC 
 LIMIT $4::INTEGER) AS b1_19 JOIN LATERAL (SELECT row(b1_19.bill_id, t1_24.line_no, t1_24.amount_minor, t1_24.currency) AS made 
FROM bill_line AS t1_24 
WHERE t1_24.customer_id = c1.customer_id AND t1_24.bill_id = b1_19.bill_id AND t1_24.statement_id = b1_19.statement_id ORDER BY t1_24.line_no ASC 
 LIMIT $5::INTEGER) AS l1_26 ON true)) AS list3, array((SELECT row(t1_18.bill_on, t1_18.bill_id, t1_18.bill_no, CASE WHEN (t1_18.amount_due_minor IS NOT NULL) THEN greatest(t1_18.amount_due_minor - t1_18.paid_minor, 0) END, t1_18.currency, (SELECT row(o1_20.account_id, o1_20.account_no) AS row_8 
FROM account AS o1_20 
WHERE o1_20.customer_id = c1.customer_id AND o1_20.account_id = t1_18.account_id 
 LIMIT 1)) AS made 
FROM bill AS t1_18 
WHERE t1_18.customer_id = c1.customer_id ORDER BY t1_18.bill_on DESC, t1_18.bill_id ASC 
 LIMIT $4::INTEGER)) AS list4, array((SELECT l1_38.made 
FROM LATERAL (SELECT t1_30.customer_id AS customer_id, t1_30.holding_id AS holding_id, t1_30.number AS number, t1_30.region AS region, t1_30.issuer AS issuer, t1_30.serving_operator AS serving_operator, t1_30.role AS role, t1_30.sim_id AS sim_id, t1_30.state AS state, t1_30.state_at AS state_at, t1_30.valid_from AS valid_from, t1_30.valid_to AS valid_to, t1_30.recorded_from AS recorded_from, t1_30.recorded_to AS recorded_to, t1_30.described_at AS described_at 
FROM number_holding AS t1_30 
WHERE t1_30.customer_id = c1.customer_id ORDER BY t1_30.valid_from DESC, t1_30.holding_id ASC 
 LIMIT $6::INTEGER) AS b1_31 JOIN LATERAL (SELECT o1_32.customer_id AS customer_id, o1_32.sim_id AS sim_id, o1_32.iccid AS iccid 
FROM sim AS o1_32 
WHERE o1_32.customer_id = c1.customer_id AND o1_32.sim_id = b1_31.sim_id 
 LIMIT 1) AS b1_33 ON true JOIN LATERAL (SELECT row(b1_33.sim_id, t1_36.valid_from, t1_36.holding_id, t1_36.number, t1_36.valid_to, t1_36.role) AS made 
FROM number_holding AS t1_36 
WHERE t1_36.customer_id = c1.customer_id AND t1_36.sim_id = b1_33.sim_id ORDER BY t1_36.valid_from DESC, t1_36.holding_id ASC 
 LIMIT $7::INTEGER) AS l1_38 ON true)) AS list5, array((SELECT row(t1_30.valid_from, t1_30.holding_id, t1_30.number, t1_30.valid_to, t1_30.role, (SELECT row(o1_32.sim_id, o1_32.iccid) AS row_9 
FROM sim AS o1_32 
WHERE o1_32.customer_id = c1.customer_id AND o1_32.sim_id = t1_30.sim_id 
 LIMIT 1)) AS made 
FROM number_holding AS t1_30 
WHERE t1_30.customer_id = c1.customer_id ORDER BY t1_30.valid_from DESC, t1_30.holding_id ASC 
 LIMIT $6::INTEGER)) AS list6 
FROM unnest($8::BYTEA[], $9::TIMESTAMP WITH TIME ZONE[]) WITH ORDINALITY AS k1(key, as_of, key_no) JOIN LATERAL (SELECT number_index.number_tag AS number_tag, number_index.role AS role, number_index.valid_from AS valid_from, number_index.holding_id AS holding_id, number_index.customer_id AS customer_id, number_index.valid_to AS valid_to 
FROM number_index 
WHERE number_index.number_tag = k1.key AND number_index.role IN ($10::VARCHAR, $11::VARCHAR) AND number_index.valid_from <= k1.as_of AND (number_index.valid_to IS NULL OR number_index.valid_to > k1.as_of) ORDER BY number_index.number_tag DESC, number_index.role DESC, number_index.valid_from DESC, number_index.holding_id DESC 
 LIMIT 1) AS n1 ON true JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

