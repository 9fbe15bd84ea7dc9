-- by link
SELECT 1 AS root, k1.key_no AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
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
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(customer_region.region) AS row_8 
FROM customer_region 
WHERE customer_region.customer_id = c1.customer_id)) AS list0 
FROM unnest($1::BYTEA[]) WITH ORDINALITY AS k1(key, key_no) JOIN link_index AS n1 ON n1.token = k1.key AND (EXISTS (SELECT link.token 
FROM link 
WHERE link.customer_id = n1.customer_id AND link.token = n1.token AND link.state = 'ACTIVE')) JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

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
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END, c1.customer_id, c1.formatted_name) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n1.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor, CASE WHEN (consent_event.holding_id IS NOT NULL AND consent_event.type IN ('GIVEN', 'RENEWED', 'CONFIRMED')) THEN consent_event.consent_event_id END) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n1.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n1.number_tag AND mine.customer_id = n1.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n1.number_tag AND spoke.customer_id = n1.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n1.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(customer_region.region) AS row_8 
FROM customer_region 
WHERE customer_region.customer_id = c1.customer_id)) AS list0 
FROM unnest($1::BYTEA[], $2::TIMESTAMP WITH TIME ZONE[]) WITH ORDINALITY AS k1(key, as_of, key_no) JOIN LATERAL (SELECT number_index.number_tag AS number_tag, number_index.role AS role, number_index.valid_from AS valid_from, number_index.holding_id AS holding_id, number_index.customer_id AS customer_id, number_index.valid_to AS valid_to 
FROM number_index 
WHERE number_index.number_tag = k1.key AND number_index.role IN ($3::VARCHAR, $4::VARCHAR) AND number_index.valid_from <= k1.as_of AND (number_index.valid_to IS NULL OR number_index.valid_to > k1.as_of) ORDER BY number_index.number_tag DESC, number_index.role DESC, number_index.valid_from DESC, number_index.holding_id DESC 
 LIMIT 1) AS n1 ON true JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

-- by number and region
SELECT 2 AS root, k2.key_no AS key_no, row(c2.customer_id, c2.state, CASE WHEN c2.is_minor THEN c2.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CASE WHEN (c2.customer_id = n2.customer_id) THEN n2.holding_id END, c2.cluster[1], c2.cluster_since, CASE WHEN (c2.cluster IS NOT NULL) THEN array((SELECT row(o2.customer_id, o2.state, o2.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n2.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor, CASE WHEN (consent_event.holding_id IS NOT NULL AND consent_event.type IN ('GIVEN', 'RENEWED', 'CONFIRMED')) THEN consent_event.consent_event_id END) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o2.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n2.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n2.number_tag AND mine.customer_id = n2.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n2.number_tag AND spoke.customer_id = n2.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n2.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o2.customer_id))) AS row_1 
FROM customer AS o2 
WHERE o2.customer_id = ANY (c2.cluster) AND o2.customer_id != c2.customer_id AND o2.state != 'ERASED')) END, c2.customer_id, c2.formatted_name) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, CASE WHEN (consent_event.holding_id IS NULL OR n2.valid_to IS NULL) THEN consent_event.expires_at ELSE consent_event.happened_at END, consent_event.actor, CASE WHEN (consent_event.holding_id IS NOT NULL AND consent_event.type IN ('GIVEN', 'RENEWED', 'CONFIRMED')) THEN consent_event.consent_event_id END) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c2.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED')) OR consent_event.happened_at >= n2.valid_from AND consent_event.holding_id IN (SELECT mine.holding_id 
FROM number_index AS mine 
WHERE mine.number_tag = n2.number_tag AND mine.customer_id = n2.customer_id) AND NOT (EXISTS (SELECT spoke.holding_id 
FROM number_index AS spoke 
WHERE spoke.number_tag = n2.number_tag AND spoke.customer_id = n2.customer_id AND spoke.role = 'USER' AND spoke.holding_id != n2.holding_id AND spoke.valid_from <= consent_event.happened_at AND (spoke.valid_to IS NULL OR spoke.valid_to > consent_event.happened_at)))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c2.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c2.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c2.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(customer_region.region) AS row_8 
FROM customer_region 
WHERE customer_region.customer_id = c2.customer_id)) AS list0, array((SELECT row(t2_4.bill_on, t2_4.bill_id, t2_4.bill_no) AS made 
FROM bill AS t2_4 
WHERE t2_4.customer_id = c2.customer_id ORDER BY t2_4.bill_on DESC, t2_4.bill_id ASC 
 LIMIT $1::INTEGER)) AS list1 
FROM unnest($2::BYTEA[], $3::TIMESTAMP WITH TIME ZONE[]) WITH ORDINALITY AS k2(key, as_of, key_no) JOIN LATERAL (SELECT number_index.number_tag AS number_tag, number_index.role AS role, number_index.valid_from AS valid_from, number_index.holding_id AS holding_id, number_index.customer_id AS customer_id, number_index.valid_to AS valid_to 
FROM number_index 
WHERE number_index.number_tag = k2.key AND number_index.role IN ($4::VARCHAR, $5::VARCHAR) AND number_index.valid_from <= k2.as_of AND (number_index.valid_to IS NULL OR number_index.valid_to > k2.as_of) ORDER BY number_index.number_tag DESC, number_index.role DESC, number_index.valid_from DESC, number_index.holding_id DESC 
 LIMIT 1) AS n2 ON true JOIN customer AS h2 ON h2.customer_id = n2.customer_id AND h2.state != 'ERASED' JOIN customer AS c2 ON c2.customer_id = ANY (coalesce(h2.cluster, ARRAY[h2.customer_id])) 
WHERE c2.state != 'ERASED' UNION ALL (SELECT 3 AS root, CAST(NULL AS BIGINT) AS key_no, row(c3.customer_id, c3.state, CASE WHEN c3.is_minor THEN c3.birth_date END, (SELECT max(policy_version.version) AS max_2 
FROM policy_version), CASE WHEN h3.fits THEN h3.customer_id END, c3.cluster[1], c3.cluster_since, CASE WHEN (c3.cluster IS NOT NULL) THEN array((SELECT row(o3.customer_id, o3.state, o3.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_10 
FROM consent_event 
WHERE consent_event.customer_id = o3.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_11 
FROM objection 
WHERE objection.customer_id = o3.customer_id))) AS row_9 
FROM customer AS o3 
WHERE o3.customer_id = ANY (c3.cluster) AND o3.customer_id != c3.customer_id AND o3.state != 'ERASED')) END, c3.customer_id, c3.formatted_name, c3.kind) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_12 
FROM consent_event 
WHERE consent_event.customer_id = c3.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_13 
FROM objection 
WHERE objection.customer_id = c3.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_14 
FROM data_key 
WHERE data_key.customer_id = c3.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_15 
FROM link 
WHERE link.customer_id = c3.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, NULL::record[] AS list0, NULL::record[] AS list1 
FROM (SELECT l3.customer_id AS customer_id, l3.cluster AS cluster, l3.kind = $6::VARCHAR AS fits 
FROM customer AS l3 
WHERE l3.region = $7::VARCHAR AND l3.customer_id > coalesce($8::UUID, '00000000-0000-0000-0000-000000000000'::UUID) AND l3.state != 'ERASED' AND (l3.cluster IS NULL OR NOT (EXISTS (SELECT * 
FROM customer AS e3 
WHERE e3.customer_id = ANY (l3.cluster) AND e3.customer_id < l3.customer_id AND e3.region = l3.region AND e3.state != 'ERASED'))) ORDER BY l3.customer_id 
 LIMIT 3) AS h3 JOIN customer AS c3 ON c3.customer_id = ANY (coalesce(h3.cluster, ARRAY[h3.customer_id])) 
WHERE c3.state != 'ERASED' ORDER BY h3.customer_id, c3.customer_id != h3.customer_id, c3.customer_id)

