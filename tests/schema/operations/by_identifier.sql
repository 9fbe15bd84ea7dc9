-- by identifier
SELECT 1 AS root, k1.key_no AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CAST(NULL AS UUID), c1.cluster[1], c1.cluster_since, CASE WHEN (c1.cluster IS NOT NULL) THEN array((SELECT row(o1.customer_id, o1.state, o1.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o1.customer_id AND (consent_event.purpose = 'service.identity' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o1.customer_id))) AS row_1 
FROM customer AS o1 
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END, c1.customer_id, c1.formatted_name) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.identity' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT row(t1_3.document_type, t1_3.identification_id, t1_3.document_number, t1_3.issuing_region, t1_3.valid_from) AS made 
FROM identification AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.document_type COLLATE "C" ASC, t1_3.identification_id ASC 
 LIMIT $1::INTEGER)) AS list0 
FROM unnest($2::BYTEA[], $3::TEXT[]) WITH ORDINALITY AS k1(key, kind, key_no) JOIN identifier_index AS n1 ON n1.identifier_tag = k1.key AND n1.kind = k1.kind JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

