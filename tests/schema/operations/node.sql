-- by customer
SELECT 4 AS root, k4.key_no AS key_no, row(c4.customer_id, c4.state, CASE WHEN c4.is_minor THEN c4.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CASE WHEN (c4.customer_id = k4.key) THEN k4.held END, c4.cluster[1], c4.cluster_since, CASE WHEN (c4.cluster IS NOT NULL) THEN array((SELECT row(o4.customer_id, o4.state, o4.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o4.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o4.customer_id))) AS row_1 
FROM customer AS o4 
WHERE o4.customer_id = ANY (c4.cluster) AND o4.customer_id != c4.customer_id AND o4.state != 'ERASED')) END, c4.customer_id, c4.formatted_name) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c4.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c4.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c4.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c4.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(customer_region.region) AS row_8 
FROM customer_region 
WHERE customer_region.customer_id = c4.customer_id)) AS list0 
FROM unnest($1::UUID[], $2::UUID[]) WITH ORDINALITY AS k4(key, held, key_no) JOIN customer AS h4 ON h4.customer_id = k4.key AND h4.state != 'ERASED' AND (k4.held IS NULL OR (SELECT number_holding.valid_to IS NULL AS anon_1 
FROM number_holding 
WHERE number_holding.customer_id = k4.key AND number_holding.holding_id = k4.held)) JOIN customer AS c4 ON c4.customer_id = ANY (coalesce(h4.cluster, ARRAY[h4.customer_id])) 
WHERE c4.state != 'ERASED'

-- by row
SELECT 5 AS root, k5.key_no AS key_no, row(c5.customer_id, c5.state, CASE WHEN c5.is_minor THEN c5.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), k5.held, c5.cluster[1], c5.cluster_since, CASE WHEN (c5.cluster IS NOT NULL) THEN array((SELECT row(o5.customer_id, o5.state, o5.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o5.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o5.customer_id))) AS row_1 
FROM customer AS o5 
WHERE o5.customer_id = ANY (c5.cluster) AND o5.customer_id != c5.customer_id AND o5.state != 'ERASED')) END, m5.bill_id, m5.bill_no, m5.amount_due_minor, m5.currency) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c5.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c5.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c5.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c5.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(t5_3.line_no, t5_3.description, t5_3.amount_minor, t5_3.currency) AS made 
FROM bill_line AS t5_3 
WHERE t5_3.customer_id = c5.customer_id AND t5_3.bill_id = m5.bill_id AND t5_3.statement_id = m5.statement_id ORDER BY t5_3.line_no ASC 
 LIMIT $1::INTEGER)) AS list0 
FROM unnest($2::UUID[], $3::UUID[], $4::UUID[]) WITH ORDINALITY AS k5(key, row, held, key_no) JOIN customer AS c5 ON c5.customer_id = k5.key AND (k5.held IS NULL OR (SELECT number_holding.valid_to IS NULL AS anon_1 
FROM number_holding 
WHERE number_holding.customer_id = k5.key AND number_holding.holding_id = k5.held)) JOIN bill AS m5 ON m5.customer_id = k5.key AND m5.bill_id = k5.row 
WHERE c5.state != 'ERASED'

