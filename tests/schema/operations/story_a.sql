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
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT l1_9.made 
FROM LATERAL (SELECT t1_3.customer_id AS customer_id, t1_3.product_id AS product_id, t1_3.product_ref AS product_ref, t1_3.name AS name, t1_3.kind AS kind, t1_3.region AS region, t1_3.tariff_id AS tariff_id, t1_3.start_on AS start_on, t1_3.term_end_on AS term_end_on, t1_3.described_at AS described_at, t1_3.status AS status, t1_3.status_reason AS status_reason, t1_3.status_at AS status_at, t1_3.expected_status AS expected_status, t1_3.expected_at AS expected_at, t1_3.behind_id AS behind_id 
FROM product AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.product_ref COLLATE "C" ASC, t1_3.product_id ASC 
 LIMIT $1::INTEGER) AS b1_4 JOIN LATERAL (SELECT row(b1_4.product_id, t1_7.product_ref, t1_7.product_id, t1_7.name, t1_7.status) AS made 
FROM product AS t1_7 
WHERE t1_7.customer_id = c1.customer_id AND t1_7.product_id IN (SELECT product_reliance.relies_on_id 
FROM product_reliance 
WHERE product_reliance.customer_id = c1.customer_id AND product_reliance.product_id = b1_4.product_id) ORDER BY t1_7.product_ref COLLATE "C" ASC, t1_7.product_id ASC 
 LIMIT $2::INTEGER) AS l1_9 ON true)) AS list0, array((SELECT row(t1_3.product_ref, t1_3.product_id, t1_3.name, t1_3.status, t1_3.status_reason, t1_3.status_at, (SELECT row(o1_10.tariff_id, o1_10.name, o1_10.monthly_fee_minor, o1_10.currency) AS row_8 
FROM tariff AS o1_10 
WHERE o1_10.tariff_id = t1_3.tariff_id 
 LIMIT 1)) AS made 
FROM product AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.product_ref COLLATE "C" ASC, t1_3.product_id ASC 
 LIMIT $1::INTEGER)) AS list1, array((SELECT row(t1_15.opened_at, t1_15.case_id, t1_15.case_ref, t1_15.ticket_type, t1_15.severity, t1_15.status, t1_15.owner, coalesce(t1_15.due_at, t1_15.opened_at + (SELECT term.minutes * interval '1 minute' AS anon_1 
FROM case_term AS term, customer AS theirs 
WHERE t1_15.customer_id = theirs.customer_id AND term.severity = t1_15.severity AND term.tier IN (theirs.tier, '*') ORDER BY CASE WHEN (term.tier = '*') THEN 1 ELSE 0 END 
 LIMIT 1)), t1_15.description, (SELECT row(o1_17.product_id, o1_17.name, o1_17.status) AS row_9 
FROM product AS o1_17 
WHERE o1_17.customer_id = c1.customer_id AND o1_17.product_id = t1_15.product_id 
 LIMIT 1)) AS made 
FROM "case" AS t1_15 
WHERE t1_15.customer_id = c1.customer_id ORDER BY t1_15.opened_at DESC, t1_15.case_id ASC 
 LIMIT $3::INTEGER)) AS list2, array((SELECT row(t1_22.requested_at, t1_22.top_up_id, t1_22.top_up_ref, t1_22.number, t1_22.amount_minor, t1_22.currency, CASE WHEN (t1_22.posted_at IS NOT NULL) THEN CASE sign((SELECT sum(CASE WHEN (posted.credit = 'BALANCE') THEN posted.amount_minor ELSE -posted.amount_minor END) AS sum_1 
FROM ledger_transaction AS posted 
WHERE posted.customer_id = t1_22.customer_id AND posted.top_up_id = t1_22.top_up_id)) WHEN 1 THEN 'POSTED' WHEN 0 THEN 'REVERSED' ELSE 'MISPOSTED' END WHEN coalesce(t1_22.failed_at >= t1_22.confirmed_at, t1_22.failed_at IS NOT NULL) THEN 'FAILED' WHEN (t1_22.confirmed_at IS NOT NULL) THEN 'CONFIRMED' ELSE 'REQUESTED' END, (SELECT row(o1_24.account_id, o1_24.account_no) AS row_10 
FROM account AS o1_24 
WHERE o1_24.customer_id = c1.customer_id AND o1_24.account_id = t1_22.posted_account_id 
 LIMIT 1)) AS made 
FROM top_up AS t1_22 
WHERE t1_22.customer_id = c1.customer_id ORDER BY t1_22.requested_at DESC, t1_22.top_up_id ASC 
 LIMIT $4::INTEGER)) AS list3 
FROM unnest($5::BYTEA[], $6::TIMESTAMP WITH TIME ZONE[]) WITH ORDINALITY AS k1(key, as_of, key_no) JOIN LATERAL (SELECT number_index.number_tag AS number_tag, number_index.role AS role, number_index.valid_from AS valid_from, number_index.holding_id AS holding_id, number_index.customer_id AS customer_id, number_index.valid_to AS valid_to 
FROM number_index 
WHERE number_index.number_tag = k1.key AND number_index.role IN ($7::VARCHAR, $8::VARCHAR) AND number_index.valid_from <= k1.as_of AND (number_index.valid_to IS NULL OR number_index.valid_to > k1.as_of) ORDER BY number_index.number_tag DESC, number_index.role DESC, number_index.valid_from DESC, number_index.holding_id DESC 
 LIMIT 1) AS n1 ON true JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

