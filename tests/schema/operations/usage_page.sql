-- by link
SELECT 1 AS root, k1.key_no AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CAST(NULL AS UUID), c1.cluster[1], c1.cluster_since, CASE WHEN (c1.cluster IS NOT NULL) THEN array((SELECT row(o1.customer_id, o1.state, o1.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o1.customer_id AND (consent_event.purpose = 'service.billing' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o1.customer_id))) AS row_1 
FROM customer AS o1 
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.billing' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND (data_key.retention = 'IDENTITY' OR data_key.retention = 'USAGE'))) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(t1_5.at, t1_5.record_id, t1_5.usage_type, t1_5.quantity, t1_5.units, t1_5.status, t1_5.counterparty) AS made 
FROM usage_record AS t1_5 
WHERE t1_5.customer_id = c1.customer_id AND ($1::TIMESTAMP WITH TIME ZONE IS NULL OR (t1_5.at, t1_5.record_id) < ($1::TIMESTAMP WITH TIME ZONE, $2::UUID)) ORDER BY t1_5.at DESC, t1_5.record_id DESC 
 LIMIT $3::INTEGER)) AS list0 
FROM unnest($4::BYTEA[]) WITH ORDINALITY AS k1(key, key_no) JOIN link_index AS n1 ON n1.token = k1.key AND (EXISTS (SELECT link.token 
FROM link 
WHERE link.customer_id = n1.customer_id AND link.token = n1.token AND link.state = 'ACTIVE')) JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

-- by number
SELECT 1 AS root, k1.key_no AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CASE WHEN (c1.customer_id = n1.customer_id) THEN n1.holding_id END, c1.cluster[1], c1.cluster_since, CASE WHEN (c1.cluster IS NOT NULL) THEN array((SELECT row(o1.customer_id, o1.state, o1.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n1.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o1.customer_id AND (consent_event.purpose = 'service.billing' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n1.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n1.number_tag AND mine.customer_id = n1.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n1.number_tag AND spoke.customer_id = n1.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n1.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o1.customer_id))) AS row_1 
FROM customer AS o1 
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n1.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.billing' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n1.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n1.number_tag AND mine.customer_id = n1.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n1.number_tag AND spoke.customer_id = n1.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n1.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND (data_key.retention = 'IDENTITY' OR data_key.retention = 'USAGE'))) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(t1_5.at, t1_5.record_id, t1_5.usage_type, t1_5.quantity, t1_5.units, t1_5.status, t1_5.counterparty) AS made 
FROM usage_record AS t1_5 
WHERE t1_5.customer_id = c1.customer_id AND ($1::TIMESTAMP WITH TIME ZONE IS NULL OR (t1_5.at, t1_5.record_id) < ($1::TIMESTAMP WITH TIME ZONE, $2::UUID)) ORDER BY t1_5.at DESC, t1_5.record_id DESC 
 LIMIT $3::INTEGER)) AS list0 
FROM unnest($4::BYTEA[], $5::TIMESTAMP WITH TIME ZONE[]) WITH ORDINALITY AS k1(key, as_of, key_no) JOIN LATERAL (SELECT number_index.number_tag AS number_tag, number_index.role AS role, number_index.valid_from AS valid_from, number_index.holding_id AS holding_id, number_index.customer_id AS customer_id, number_index.valid_to AS valid_to 
FROM number_index 
WHERE number_index.number_tag = k1.key AND number_index.role IN ($6::VARCHAR, $7::VARCHAR) AND number_index.valid_from <= k1.as_of AND (number_index.valid_to IS NULL OR number_index.valid_to > k1.as_of) ORDER BY number_index.number_tag DESC, number_index.role DESC, number_index.valid_from DESC, number_index.holding_id DESC 
 LIMIT 1) AS n1 ON true JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

