SELECT name FROM people WHERE id = 1
SELECT name FROM people WHERE id = 2
select name from people where id = 3
SELECT name FROM people WHERE id = -1
SELECT name FROM people WHERE id = - 1
SELECT name FROM people WHERE id=7;
SELECT name FROM people /* the people */ WHERE id = 4 -- four
SELECT "name" FROM "people" WHERE "id" = 5
SELECT name FROM People WHERE ID = 6
SELECT name AS who FROM people WHERE id = 1
SELECT p.name FROM people p WHERE p.id = 1
SELECT p.name FROM people AS p WHERE p.id = 2
SELECT name FROM people WHERE id <> 1
SELECT name FROM people WHERE id != 2
SELECT name FROM people WHERE id IN (1)
SELECT name FROM people WHERE id IN (1, 2)
SELECT name FROM people WHERE id IN (1, 2, 3)
SELECT name FROM people WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
SELECT name FROM people WHERE id IN (-1, -2)
SELECT name FROM people WHERE id IN (1, NULL)
SELECT name FROM people WHERE id NOT IN (1, 2)
SELECT name FROM people WHERE id NOT IN (-1, 2)
SELECT name FROM people WHERE (id, age) IN ((1, 2))
SELECT name FROM people WHERE (id, age) IN ((1, 2), (3, 4))
SELECT name FROM people WHERE id BETWEEN 1 AND 10
SELECT name FROM people WHERE id BETWEEN -1 AND -1
SELECT name FROM people WHERE id BETWEEN -10 AND 10
SELECT name FROM people ORDER BY id LIMIT 1
SELECT name FROM people ORDER BY id LIMIT 100
SELECT name FROM people ORDER BY id ASC LIMIT 100
SELECT name FROM people ORDER BY id LIMIT 10 OFFSET 20
SELECT name FROM people ORDER BY id LIMIT 10 OFFSET 40
SELECT name FROM people WHERE active = TRUE
SELECT name FROM people WHERE active = false
SELECT name FROM people WHERE age IS NULL
SELECT name FROM people WHERE age IS NOT NULL
SELECT name FROM people WHERE name = 'it''s'
SELECT name FROM people WHERE name = E'it\'s'
SELECT name FROM people WHERE name = $$it's$$
SELECT name FROM people WHERE name = U&'d\0061t'
SELECT name FROM people WHERE name LIKE 'a%'
SELECT name FROM people WHERE name LIKE '%b'
SELECT name FROM people WHERE born > DATE '2001-01-01'
SELECT name FROM people WHERE born > DATE '1999-12-31'
SELECT name FROM people WHERE born > now() - INTERVAL '1 day'
SELECT name FROM people WHERE born > now() - INTERVAL '30 days'
SELECT count(*) FROM people
SELECT COUNT(*) FROM people;
SELECT coalesce(age, 1) FROM people
SELECT coalesce(age, 20) FROM people
SELECT -1
SELECT 1
SELECT 1, 'a', NULL
SELECT 2, 'b', NULL
SELECT ARRAY[1, 2]
SELECT ARRAY[1, 2, 3]
SELECT tags[1] FROM people
SELECT tags[1:2] FROM people
SELECT tags[2:3] FROM people
SELECT data ->> 'a' FROM people
SELECT data ->> 'b' FROM people
SELECT name FROM people WHERE data ? 'a'
SELECT name FROM people WHERE data ? 'b'
SELECT p.name, q.name FROM people p JOIN people q ON p.id = q.age WHERE q.id = 1
SELECT p.name, q.name FROM people AS p INNER JOIN people AS q ON p.id = q.age WHERE q.id = 2
SELECT p.name FROM people p LEFT JOIN people q ON p.id = q.age
SELECT p.name FROM people p LEFT OUTER JOIN people q ON p.id = q.age
WITH old AS (SELECT id FROM people WHERE age > 80) SELECT count(*) FROM old
WITH old AS (SELECT id FROM people WHERE age > 90) SELECT count(*) FROM old
INSERT INTO people (id, name) VALUES (100, 'a')
INSERT INTO people (id, name) VALUES (101, 'b'), (102, 'c')
INSERT INTO people (id, name) VALUES (103, 'd'), (104, NULL), (-105, 'f')
INSERT INTO people (id, name, active) VALUES (106, 'g', true)
INSERT INTO people (id, name, active) VALUES (107, 'h', NULL)
UPDATE people SET age = 1 WHERE id = 1
UPDATE people SET age = NULL WHERE id = 2
UPDATE people SET age = age + 1 WHERE id = 3
DELETE FROM people WHERE id = 100
DELETE FROM people WHERE id = -105
VALUES (1, 'a')
VALUES (1, 'a'), (2, 'b')
SELECT name FROM people WHERE age > 1 AND name IS NOT NULL
