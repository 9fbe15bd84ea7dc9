-- by link
SELECT 1 AS root, k1.key_no AS key_no, row(c1.customer_id, c1.state, CASE WHEN c1.is_minor THEN c1.birth_date END, (SELECT max(policy_version.version) AS max_1 
FROM policy_version), CAST(NULL AS UUID), c1.cluster[1], c1.cluster_since, CASE WHEN (c1.cluster IS NOT NULL) THEN array((SELECT row(o1.customer_id, o1.state, o1.is_minor, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_2 
FROM consent_event 
WHERE consent_event.customer_id = o1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))), array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_3 
FROM objection 
WHERE objection.customer_id = o1.customer_id))) AS row_1 
FROM customer AS o1 
WHERE o1.customer_id = ANY (c1.cluster) AND o1.customer_id != c1.customer_id AND o1.state != 'ERASED')) END) AS head, array((SELECT row(consent_event.type, consent_event.kind, consent_event.purpose, consent_event.happened_at, consent_event.recorded_at, consent_event.category, consent_event.channel, consent_event.recipient, consent_event.destination, consent_event.notice, consent_event.expires_at, consent_event.actor) AS row_4 
FROM consent_event 
WHERE consent_event.customer_id = c1.customer_id AND (consent_event.purpose = 'service.care' OR consent_event.purpose = 'service' OR consent_event.purpose = '*') AND (consent_event.holding_id IS NULL OR (consent_event.type NOT IN ('GIVEN', 'RENEWED', 'CONFIRMED'))))) AS consents, array((SELECT row(objection.kind, objection.scope, objection.happened_at, objection.recorded_at, objection.raised) AS row_5 
FROM objection 
WHERE objection.customer_id = c1.customer_id)) AS objections, array((SELECT row(data_key.retention, data_key.generation, data_key.epoch, data_key.wrapped) AS row_6 
FROM data_key 
WHERE data_key.customer_id = c1.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT l1_11.made 
FROM LATERAL (SELECT t1_3.customer_id AS customer_id, t1_3.bill_id AS bill_id, t1_3.bill_no AS bill_no, t1_3.account_id AS account_id, t1_3.region AS region, t1_3.bill_on AS bill_on, t1_3.period_start_on AS period_start_on, t1_3.period_end_on AS period_end_on, t1_3.amount_due_minor AS amount_due_minor, t1_3.currency AS currency, t1_3.issued_at AS issued_at, t1_3.paid_minor AS paid_minor, t1_3.statement_id AS statement_id, t1_3.stated_at AS stated_at 
FROM bill AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.bill_on DESC, t1_3.bill_id ASC 
 LIMIT $1::INTEGER) AS b1_4 JOIN LATERAL (SELECT o1_5.customer_id AS customer_id, o1_5.bill_id AS bill_id, o1_5.currency AS currency, o1_5.bills AS bills, o1_5.usual_minor AS usual_minor, o1_5.difference_minor AS difference_minor 
FROM bill_difference AS o1_5 
WHERE o1_5.customer_id = c1.customer_id AND o1_5.bill_id = b1_4.bill_id 
 LIMIT 1) AS b1_6 ON true JOIN LATERAL (SELECT row(b1_6.bill_id, t1_9.difference_minor, t1_9.cause, t1_9.amount_minor, t1_9.currency, t1_9.usual_minor) AS made 
FROM bill_change AS t1_9 
WHERE t1_9.customer_id = c1.customer_id AND t1_9.bill_id = b1_6.bill_id ORDER BY t1_9.difference_minor DESC, t1_9.cause COLLATE "C" ASC 
 LIMIT $2::INTEGER) AS l1_11 ON true)) AS list0, array((SELECT row(t1_3.bill_on, t1_3.bill_id, t1_3.bill_no, t1_3.amount_due_minor, t1_3.currency, (SELECT row(o1_5.bill_id, o1_5.bills, o1_5.usual_minor, o1_5.currency, o1_5.difference_minor) AS row_8 
FROM bill_difference AS o1_5 
WHERE o1_5.customer_id = c1.customer_id AND o1_5.bill_id = t1_3.bill_id 
 LIMIT 1)) AS made 
FROM bill AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.bill_on DESC, t1_3.bill_id ASC 
 LIMIT $1::INTEGER)) AS list1, array((SELECT l1_23.made 
FROM LATERAL (SELECT t1_15.customer_id AS customer_id, t1_15.account_id AS account_id, t1_15.account_no AS account_no, t1_15.region AS region, t1_15.rating_type AS rating_type, t1_15.currency AS currency, t1_15.opened_at AS opened_at, t1_15.credit_limit_minor AS credit_limit_minor, t1_15.payment_status AS payment_status, t1_15.payment_status_at AS payment_status_at, t1_15.balance_minor AS balance_minor, t1_15.balance_at AS balance_at 
FROM account AS t1_15 
WHERE t1_15.customer_id = c1.customer_id ORDER BY t1_15.opened_at DESC, t1_15.account_id ASC 
 LIMIT $3::INTEGER) AS b1_16 JOIN LATERAL (SELECT o1_17.customer_id AS customer_id, o1_17.account_id AS account_id, o1_17.region AS region, o1_17.currency AS currency, o1_17.owed_minor AS owed_minor, o1_17.bills AS bills, o1_17.due_on AS due_on, o1_17.suspends_on AS suspends_on 
FROM arrears AS o1_17 
WHERE o1_17.customer_id = c1.customer_id AND o1_17.account_id = b1_16.account_id 
 LIMIT 1) AS b1_18 ON true JOIN LATERAL (SELECT row(b1_18.account_id, t1_21.product_ref, t1_21.product_id, t1_21.name) AS made 
FROM product AS t1_21 
WHERE t1_21.customer_id = c1.customer_id AND t1_21.region = b1_18.region AND t1_21.status = 'active' ORDER BY t1_21.product_ref COLLATE "C" ASC, t1_21.product_id ASC 
 LIMIT $4::INTEGER) AS l1_23 ON true)) AS list2, array((SELECT row(t1_15.opened_at, t1_15.account_id, (SELECT row(o1_17.account_id, o1_17.owed_minor, o1_17.currency, o1_17.bills, o1_17.due_on, o1_17.suspends_on) AS row_9 
FROM arrears AS o1_17 
WHERE o1_17.customer_id = c1.customer_id AND o1_17.account_id = t1_15.account_id 
 LIMIT 1)) AS made 
FROM account AS t1_15 
WHERE t1_15.customer_id = c1.customer_id ORDER BY t1_15.opened_at DESC, t1_15.account_id ASC 
 LIMIT $3::INTEGER)) AS list3, array((SELECT l1_39.made 
FROM LATERAL (SELECT t1_27.customer_id AS customer_id, t1_27.product_id AS product_id, t1_27.region AS region, t1_27.currency AS currency, t1_27.first_on AS first_on, t1_27.last_on AS last_on, t1_27.months AS months, t1_27.present_minor AS present_minor, t1_27.cheapest_minor AS cheapest_minor, t1_27.cheapest_id AS cheapest_id, t1_27.saving_minor AS saving_minor, t1_27.billed_minor AS billed_minor 
FROM tariff_advice AS t1_27 
WHERE t1_27.customer_id = c1.customer_id ORDER BY t1_27.product_id ASC 
 LIMIT $5::INTEGER) AS b1_28 JOIN LATERAL (SELECT row(b1_28.product_id, t1_35.cost_minor, t1_35.tariff_id, (SELECT row(o1_37.tariff_id) AS row_10 
FROM tariff AS o1_37 
WHERE o1_37.tariff_id = t1_35.tariff_id 
 LIMIT 1), t1_35.currency) AS made 
FROM tariff_option AS t1_35 
WHERE t1_35.customer_id = c1.customer_id AND t1_35.product_id = b1_28.product_id ORDER BY t1_35.cost_minor ASC, t1_35.tariff_id COLLATE "C" ASC 
 LIMIT $6::INTEGER) AS l1_39 ON true)) AS list4, array((SELECT row(t1_27.product_id, (SELECT row(o1_29.product_id, o1_29.name) AS row_11 
FROM product AS o1_29 
WHERE o1_29.customer_id = c1.customer_id AND o1_29.product_id = t1_27.product_id 
 LIMIT 1), t1_27.first_on, t1_27.last_on, t1_27.months, t1_27.billed_minor, t1_27.currency, t1_27.present_minor, (SELECT row(o1_31.tariff_id, o1_31.name, o1_31.voice_price, o1_31.currency, o1_31.data_price) AS row_12 
FROM tariff AS o1_31 
WHERE o1_31.tariff_id = t1_27.cheapest_id 
 LIMIT 1), t1_27.cheapest_minor, t1_27.saving_minor, 'The months end before the newest one with usage, which may not be over. Each month is priced for itself, begun minutes and megabytes counted whole. Options are what is sold to this kind of customer in the region of the product, in the same currency and paid at the same time (before or after use). Discounts are those for products held now. Roaming is beyond every allowance. Where a region has several products with a tariff there is no advice, as usage is not kept by product.') AS made 
FROM tariff_advice AS t1_27 
WHERE t1_27.customer_id = c1.customer_id ORDER BY t1_27.product_id ASC 
 LIMIT $5::INTEGER)) AS list5, array((SELECT row(t1_43.day_on, t1_43.region, t1_43.usage_type, t1_43.quantity, t1_43.units, t1_43.records) AS made 
FROM usage_day AS t1_43 
WHERE t1_43.customer_id = c1.customer_id ORDER BY t1_43.day_on DESC, t1_43.region COLLATE "C" ASC, t1_43.usage_type COLLATE "C" ASC, t1_43.day_on ASC 
 LIMIT $7::INTEGER)) AS list6, array((SELECT row(t1_48.bucket_ref, t1_48.bucket_id, t1_48.remaining, CASE WHEN (t1_48.remaining = 0) THEN CAST(timezone('UTC', t1_48.remaining_at) AS DATE) WHEN (t1_48.is_shared OR (t1_48.remaining * 14) / CAST(nullif((SELECT sum(spent.quantity) AS sum_1 
FROM usage_record AS spent 
WHERE spent.customer_id = t1_48.customer_id AND spent.usage_type = t1_48.usage_type AND spent.region = t1_48.region AND (t1_48.holding_id IS NULL OR spent.holding_id = t1_48.holding_id) AND spent.at > t1_48.remaining_at - interval '14 days' AND spent.at <= t1_48.remaining_at), 0) AS NUMERIC) > 3650 OR t1_48.remaining_at + least((t1_48.remaining * 14) / CAST(nullif((SELECT sum(spent.quantity) AS sum_1 
FROM usage_record AS spent 
WHERE spent.customer_id = t1_48.customer_id AND spent.usage_type = t1_48.usage_type AND spent.region = t1_48.region AND (t1_48.holding_id IS NULL OR spent.holding_id = t1_48.holding_id) AND spent.at > t1_48.remaining_at - interval '14 days' AND spent.at <= t1_48.remaining_at), 0) AS NUMERIC), 3650) * interval '1 day' >= t1_48.valid_to) THEN NULL ELSE CAST(timezone('UTC', t1_48.remaining_at + least((t1_48.remaining * 14) / CAST(nullif((SELECT sum(spent.quantity) AS sum_1 
FROM usage_record AS spent 
WHERE spent.customer_id = t1_48.customer_id AND spent.usage_type = t1_48.usage_type AND spent.region = t1_48.region AND (t1_48.holding_id IS NULL OR spent.holding_id = t1_48.holding_id) AND spent.at > t1_48.remaining_at - interval '14 days' AND spent.at <= t1_48.remaining_at), 0) AS NUMERIC), 3650) * interval '1 day') AS DATE) END) AS made 
FROM bucket AS t1_48 
WHERE t1_48.customer_id = c1.customer_id ORDER BY t1_48.bucket_ref COLLATE "C" ASC, t1_48.bucket_id ASC 
 LIMIT $8::INTEGER)) AS list7 
FROM unnest($9::BYTEA[]) WITH ORDINALITY AS k1(key, key_no) JOIN link_index AS n1 ON n1.token = k1.key AND (EXISTS (SELECT link.token 
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
WHERE data_key.customer_id = c1.customer_id AND data_key.retention = 'IDENTITY')) AS data_keys, array((SELECT row(link.token, link.other_store, link.leads) AS row_7 
FROM link 
WHERE link.customer_id = c1.customer_id AND link.state = 'ACTIVE' ORDER BY link.token)) AS links, array((SELECT l1_11.made 
FROM LATERAL (SELECT t1_3.customer_id AS customer_id, t1_3.bill_id AS bill_id, t1_3.bill_no AS bill_no, t1_3.account_id AS account_id, t1_3.region AS region, t1_3.bill_on AS bill_on, t1_3.period_start_on AS period_start_on, t1_3.period_end_on AS period_end_on, t1_3.amount_due_minor AS amount_due_minor, t1_3.currency AS currency, t1_3.issued_at AS issued_at, t1_3.paid_minor AS paid_minor, t1_3.statement_id AS statement_id, t1_3.stated_at AS stated_at 
FROM bill AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.bill_on DESC, t1_3.bill_id ASC 
 LIMIT $1::INTEGER) AS b1_4 JOIN LATERAL (SELECT o1_5.customer_id AS customer_id, o1_5.bill_id AS bill_id, o1_5.currency AS currency, o1_5.bills AS bills, o1_5.usual_minor AS usual_minor, o1_5.difference_minor AS difference_minor 
FROM bill_difference AS o1_5 
WHERE o1_5.customer_id = c1.customer_id AND o1_5.bill_id = b1_4.bill_id 
 LIMIT 1) AS b1_6 ON true JOIN LATERAL (SELECT row(b1_6.bill_id, t1_9.difference_minor, t1_9.cause, t1_9.amount_minor, t1_9.currency, t1_9.usual_minor) AS made 
FROM bill_change AS t1_9 
WHERE t1_9.customer_id = c1.customer_id AND t1_9.bill_id = b1_6.bill_id ORDER BY t1_9.difference_minor DESC, t1_9.cause COLLATE "C" ASC 
 LIMIT $2::INTEGER) AS l1_11 ON true)) AS list0, array((SELECT row(t1_3.bill_on, t1_3.bill_id, t1_3.bill_no, t1_3.amount_due_minor, t1_3.currency, (SELECT row(o1_5.bill_id, o1_5.bills, o1_5.usual_minor, o1_5.currency, o1_5.difference_minor) AS row_8 
FROM bill_difference AS o1_5 
WHERE o1_5.customer_id = c1.customer_id AND o1_5.bill_id = t1_3.bill_id 
 LIMIT 1)) AS made 
FROM bill AS t1_3 
WHERE t1_3.customer_id = c1.customer_id ORDER BY t1_3.bill_on DESC, t1_3.bill_id ASC 
 LIMIT $1::INTEGER)) AS list1, array((SELECT l1_23.made 
FROM LATERAL (SELECT t1_15.customer_id AS customer_id, t1_15.account_id AS account_id, t1_15.account_no AS account_no, t1_15.region AS region, t1_15.rating_type AS rating_type, t1_15.currency AS currency, t1_15.opened_at AS opened_at, t1_15.credit_limit_minor AS credit_limit_minor, t1_15.payment_status AS payment_status, t1_15.payment_status_at AS payment_status_at, t1_15.balance_minor AS balance_minor, t1_15.balance_at AS balance_at 
FROM account AS t1_15 
WHERE t1_15.customer_id = c1.customer_id ORDER BY t1_15.opened_at DESC, t1_15.account_id ASC 
 LIMIT $3::INTEGER) AS b1_16 JOIN LATERAL (SELECT o1_17.customer_id AS customer_id, o1_17.account_id AS account_id, o1_17.region AS region, o1_17.currency AS currency, o1_17.owed_minor AS owed_minor, o1_17.bills AS bills, o1_17.due_on AS due_on, o1_17.suspends_on AS suspends_on 
FROM arrears AS o1_17 
WHERE o1_17.customer_id = c1.customer_id AND o1_17.account_id = b1_16.account_id 
 LIMIT 1) AS b1_18 ON true JOIN LATERAL (SELECT row(b1_18.account_id, t1_21.product_ref, t1_21.product_id, t1_21.name) AS made 
FROM product AS t1_21 
WHERE t1_21.customer_id = c1.customer_id AND t1_21.region = b1_18.region AND t1_21.status = 'active' ORDER BY t1_21.product_ref COLLATE "C" ASC, t1_21.product_id ASC 
 LIMIT $4::INTEGER) AS l1_23 ON true)) AS list2, array((SELECT row(t1_15.opened_at, t1_15.account_id, (SELECT row(o1_17.account_id, o1_17.owed_minor, o1_17.currency, o1_17.bills, o1_17.due_on, o1_17.suspends_on) AS row_9 
FROM arrears AS o1_17 
WHERE o1_17.customer_id = c1.customer_id AND o1_17.account_id = t1_15.account_id 
 LIMIT 1)) AS made 
FROM account AS t1_15 
WHERE t1_15.customer_id = c1.customer_id ORDER BY t1_15.opened_at DESC, t1_15.account_id ASC 
 LIMIT $3::INTEGER)) AS list3, array((SELECT l1_39.made 
FROM LATERAL (SELECT t1_27.customer_id AS customer_id, t1_27.product_id AS product_id, t1_27.region AS region, t1_27.currency AS currency, t1_27.first_on AS first_on, t1_27.last_on AS last_on, t1_27.months AS months, t1_27.present_minor AS present_minor, t1_27.cheapest_minor AS cheapest_minor, t1_27.cheapest_id AS cheapest_id, t1_27.saving_minor AS saving_minor, t1_27.billed_minor AS billed_minor 
FROM tariff_advice AS t1_27 
WHERE t1_27.customer_id = c1.customer_id ORDER BY t1_27.product_id ASC 
 LIMIT $5::INTEGER) AS b1_28 JOIN LATERAL (SELECT row(b1_28.product_id, t1_35.cost_minor, t1_35.tariff_id, (SELECT row(o1_37.tariff_id) AS row_10 
FROM tariff AS o1_37 
WHERE o1_37.tariff_id = t1_35.tariff_id 
 LIMIT 1), t1_35.currency) AS made 
FROM tariff_option AS t1_35 
WHERE t1_35.customer_id = c1.customer_id AND t1_35.product_id = b1_28.product_id ORDER BY t1_35.cost_minor ASC, t1_35.tariff_id COLLATE "C" ASC 
 LIMIT $6::INTEGER) AS l1_39 ON true)) AS list4, array((SELECT row(t1_27.product_id, (SELECT row(o1_29.product_id, o1_29.name) AS row_11 
FROM product AS o1_29 
WHERE o1_29.customer_id = c1.customer_id AND o1_29.product_id = t1_27.product_id 
 LIMIT 1), t1_27.first_on, t1_27.last_on, t1_27.months, t1_27.billed_minor, t1_27.currency, t1_27.present_minor, (SELECT row(o1_31.tariff_id, o1_31.name, o1_31.voice_price, o1_31.currency, o1_31.data_price) AS row_12 
FROM tariff AS o1_31 
WHERE o1_31.tariff_id = t1_27.cheapest_id 
 LIMIT 1), t1_27.cheapest_minor, t1_27.saving_minor, 'The months end before the newest one with usage, which may not be over. Each month is priced for itself, begun minutes and megabytes counted whole. Options are what is sold to this kind of customer in the region of the product, in the same currency and paid at the same time (before or after use). Discounts are those for products held now. Roaming is beyond every allowance. Where a region has several products with a tariff there is no advice, as usage is not kept by product.') AS made 
FROM tariff_advice AS t1_27 
WHERE t1_27.customer_id = c1.customer_id ORDER BY t1_27.product_id ASC 
 LIMIT $5::INTEGER)) AS list5, array((SELECT row(t1_43.day_on, t1_43.region, t1_43.usage_type, t1_43.quantity, t1_43.units, t1_43.records) AS made 
FROM usage_day AS t1_43 
WHERE t1_43.customer_id = c1.customer_id ORDER BY t1_43.day_on DESC, t1_43.region COLLATE "C" ASC, t1_43.usage_type COLLATE "C" ASC, t1_43.day_on ASC 
 LIMIT $7::INTEGER)) AS list6, array((SELECT row(t1_48.bucket_ref, t1_48.bucket_id, t1_48.remaining, CASE WHEN (t1_48.remaining = 0) THEN CAST(timezone('UTC', t1_48.remaining_at) AS DATE) WHEN (t1_48.is_shared OR (t1_48.remaining * 14) / CAST(nullif((SELECT sum(spent.quantity) AS sum_1 
FROM usage_record AS spent 
WHERE spent.customer_id = t1_48.customer_id AND spent.usage_type = t1_48.usage_type AND spent.region = t1_48.region AND (t1_48.holding_id IS NULL OR spent.holding_id = t1_48.holding_id) AND spent.at > t1_48.remaining_at - interval '14 days' AND spent.at <= t1_48.remaining_at), 0) AS NUMERIC) > 3650 OR t1_48.remaining_at + least((t1_48.remaining * 14) / CAST(nullif((SELECT sum(spent.quantity) AS sum_1 
FROM usage_record AS spent 
WHERE spent.customer_id = t1_48.customer_id AND spent.usage_type = t1_48.usage_type AND spent.region = t1_48.region AND (t1_48.holding_id IS NULL OR spent.holding_id = t1_48.holding_id) AND spent.at > t1_48.remaining_at - interval '14 days' AND spent.at <= t1_48.remaining_at), 0) AS NUMERIC), 3650) * interval '1 day' >= t1_48.valid_to) THEN NULL ELSE CAST(timezone('UTC', t1_48.remaining_at + least((t1_48.remaining * 14) / CAST(nullif((SELECT sum(spent.quantity) AS sum_1 
FROM usage_record AS spent 
WHERE spent.customer_id = t1_48.customer_id AND spent.usage_type = t1_48.usage_type AND spent.region = t1_48.region AND (t1_48.holding_id IS NULL OR spent.holding_id = t1_48.holding_id) AND spent.at > t1_48.remaining_at - interval '14 days' AND spent.at <= t1_48.remaining_at), 0) AS NUMERIC), 3650) * interval '1 day') AS DATE) END) AS made 
FROM bucket AS t1_48 
WHERE t1_48.customer_id = c1.customer_id ORDER BY t1_48.bucket_ref COLLATE "C" ASC, t1_48.bucket_id ASC 
 LIMIT $8::INTEGER)) AS list7 
FROM unnest($9::BYTEA[], $10::TIMESTAMP WITH TIME ZONE[]) WITH ORDINALITY AS k1(key, as_of, key_no) JOIN LATERAL (SELECT number_index.number_tag AS number_tag, number_index.role AS role, number_index.valid_from AS valid_from, number_index.holding_id AS holding_id, number_index.customer_id AS customer_id, number_index.valid_to AS valid_to 
FROM number_index 
WHERE number_index.number_tag = k1.key AND number_index.role IN ($11::VARCHAR, $12::VARCHAR) AND number_index.valid_from <= k1.as_of AND (number_index.valid_to IS NULL OR number_index.valid_to > k1.as_of) ORDER BY number_index.number_tag DESC, number_index.role DESC, number_index.valid_from DESC, number_index.holding_id DESC 
 LIMIT 1) AS n1 ON true JOIN customer AS h1 ON h1.customer_id = n1.customer_id AND h1.state != 'ERASED' JOIN customer AS c1 ON c1.customer_id = ANY (coalesce(h1.cluster, ARRAY[h1.customer_id])) 
WHERE c1.state != 'ERASED'

