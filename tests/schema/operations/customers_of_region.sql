-- by region
SELECT 1 AS root, CAST(NULL AS BIGINT) AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CAST(NULL AS UUID), c1.cluster[1], c1.cluster_since, CASE WHEN (c1.cluster IS NOT NULL) THEN array((SELECT row(o1.customer_id, o1.state, o1.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o1.customer_id))) AS row_1 
FROM customer AS o1 
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END, c1.customer_id, c1.formatted_name) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(t1_3.valid_from, t1_3.holding_id, t1_3.number, t1_3.valid_to, t1_3.state) AS made 
FROM number_holding AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.valid_from DESC, t1_3.holding_id ASC 
 LIMIT $1::INTEGER)) AS list0, array((SELECT row(t1_8.bill_on, t1_8.bill_id, t1_8.bill_no, t1_8.amount_due_minor, t1_8.currency, CASE WHEN (t1_8.amount_due_minor IS NULL) THEN NULL WHEN (t1_8.paid_minor >= t1_8.amount_due_minor) THEN 'settled' WHEN (t1_8.paid_minor > 0) THEN 'partiallyPaid' ELSE 'sent' END) AS made 
FROM bill AS t1_8 
WHERE t1_8.customer_id = c1.customer_id ORDER BY t1_8.bill_on DESC, t1_8.bill_id ASC 
 LIMIT $2::INTEGER)) AS list1 
FROM (SELECT l1.customer_id AS customer_id, l1.cluster AS cluster 
FROM customer AS l1 
WHERE l1.region = $3::VARCHAR AND l1.customer_id > coalesce($4::UUID, '00000000-0000-0000-0000-000000000000'::UUID) AND l1.state != 'ERASED' AND (l1.cluster IS NULL OR NOT (EXISTS (SELECT * 
FROM customer AS e1 
WHERE e1.customer_id = ANY (l1.cluster) AND e1.customer_id < l1.customer_id AND e1.region = l1.region AND e1.state != 'ERASED'))) ORDER BY l1.customer_id 
 LIMIT 51) AS h1 JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED' ORDER BY h1.customer_id, c1.customer_id != h1.customer_id, c1.customer_id

